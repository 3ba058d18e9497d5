import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { type ProlongPorts, prolongSessions } from "./authenticate-session.ts";

/** Gives the sessions that streams are open in, each as often as it likes. */
export type OpenSessions = () => Iterable<{ readonly projectId: string; readonly sessionId: string }>;

/** Less than the shortest `session_ttl`, so that none ends in between. */
const EVERY_MS = 30_000;
/** Sessions of one statement. */
const BATCH = 1_000;

/**
 * Keeps the sessions going that streams were opened with, for as long as the streams are open: a stream is one long request. It never takes a
 * session past its last end. Disposing it stops it.
 */
export function createKeepAlive(
  ports: ProlongPorts & { readonly clock: Clock; readonly logger: Logger },
  openSessions: OpenSessions,
): AsyncDisposable {
  const { clock, logger } = ports;
  let timer: Disposable | undefined;
  let running: Promise<void> = Promise.resolve();
  let closed = false;

  async function prolong(): Promise<void> {
    const sessions = [...new Map([...openSessions()].map((session) => [session.sessionId, session])).values()];
    for (let from = 0; from < sessions.length && !closed; from += BATCH)
      await prolongSessions(ports, sessions.slice(from, from + BATCH));
  }

  function schedule(): void {
    timer = clock.schedule(EVERY_MS, () => {
      running = prolong()
        .catch((error: unknown) => logger.warn({ err: error }, "sessions of open streams were not prolonged"))
        .finally(() => {
          if (!closed) schedule();
        });
    });
  }

  schedule();
  return {
    async [Symbol.asyncDispose]() {
      closed = true;
      timer?.[Symbol.dispose]();
      await running;
    },
  };
}
