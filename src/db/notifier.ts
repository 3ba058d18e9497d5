import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import type { Database } from "./orm.ts";
import { query } from "./statement.ts";

/** Tells other processes that something may have changed, after the change has been committed. */
export interface Notifier extends AsyncDisposable {
  /**
   * Sends a hint to all that listen to `channel`; at most 7,000 bytes. Returns at once: hints are sent together, one statement
   * at a time and 50 a second per process, since NOTIFY takes a lock of the whole cluster. A lost hint costs latency: who listens also polls.
   */
  notify(channel: string, payload: string): void;
}

/** The least time between two statements: each NOTIFY holds up all other commits of the cluster that notify. */
const EVERY_MS = 20;
/** More hints than this are not kept while the database is away: the oldest go. */
const MOST_WAITING = 10_000;
const RETRY_MS = 1_000;
const SEND = {
  name: "notifier_send",
  text: "select pg_notify(h.channel, h.payload) from unnest($1::text[], $2::text[]) as h (channel, payload)",
};

/** A notifier on the pool of `db`. Disposing it sends what waits, once, and gives up what then fails. */
export function createNotifier(db: Database, clock: Clock, logger: Logger): Notifier {
  /** Channel and payload, each pair once, in the order they came. */
  const waiting = new Map<string, [channel: string, payload: string]>();
  let sending: Promise<void> | undefined;
  let retry: Disposable | undefined;
  let sentAt = Number.NEGATIVE_INFINITY;
  let closed = false;

  async function send(): Promise<void> {
    const hints = [...waiting.values()];
    waiting.clear();
    sentAt = clock.monotonic();
    try {
      await query(db.pool, SEND, [hints.map(([channel]) => channel), hints.map(([, payload]) => payload)]);
    } catch (error) {
      logger.warn({ err: error, hints: hints.length }, "hints could not be sent");
      if (closed) return;
      for (const [channel, payload] of hints) keep(channel, payload);
      startIn(RETRY_MS);
    }
  }

  function startIn(ms: number): void {
    retry = clock.schedule(ms, () => {
      retry = undefined;
      start();
    });
  }

  function start(): void {
    if (sending || retry || waiting.size === 0) return;
    const restMs = sentAt + EVERY_MS - clock.monotonic();
    if (restMs > 0 && !closed) return startIn(restMs);
    sending = send().finally(() => {
      sending = undefined;
      start();
    });
  }

  function keep(channel: string, payload: string): void {
    waiting.set(`${channel} ${payload}`, [channel, payload]);
    for (const oldest of waiting.keys()) {
      if (waiting.size <= MOST_WAITING) break;
      waiting.delete(oldest);
    }
  }

  return {
    notify(channel, payload) {
      keep(channel, payload);
      start();
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      retry?.[Symbol.dispose]();
      retry = undefined;
      start();
      while (sending) await sending;
    },
  };
}
