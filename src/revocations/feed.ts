import { type Clock, systemClock } from "../clock.ts";
import { answerWithin } from "../db/answer-within.ts";
import type { Listener } from "../db/listener.ts";
import type { Database } from "../db/orm.ts";
import type { Logger } from "../logger.ts";
import { currentCursor, type RevocationCursor, readRevocations } from "./read-revocations.ts";
import type { Revocation } from "./revocation.ts";

export interface FeedPorts {
  readonly db: Database;
  readonly listener: Listener;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Is told of what ended, each once, soon after it was committed. */
export type FeedSubscriber = (revocations: readonly Revocation[]) => void;

/** This process's view of what ends, in all projects. */
export interface RevocationFeed extends AsyncDisposable {
  /** Has `subscriber` told of all that is committed from now on. */
  subscribe(subscriber: FeedSubscriber): Disposable;
  /** Has it look at once: this process has ended something. */
  wake(): void;
  /** For how long it has not been able to look, in milliseconds; 0: it is up to date, to half a second. */
  readonly staleFor: number;
  /**
   * How old what it has told is, in milliseconds: all that was committed that long ago has been told. Infinite from `wake` on, until a look
   * that began later is over.
   */
  readonly age: number;
}

/** The channel of hints that something ended. They have no payload. */
export const REVOCATIONS_CHANNEL = "muster_revocations";

const POLL_MS = 500;
const PAGE = 1_000;
/** A look that takes longer is given up for lost. */
const LOST_MS = 5_000;

/**
 * Starts to look: twice a second whatever happens, and at once on a hint or when hints come again after a gap. A lost hint costs half a
 * second; nothing costs a revocation. It resolves once it knows where to go on from: what is committed later is told.
 */
export async function startFeed(ports: FeedPorts): Promise<RevocationFeed> {
  const knownAt = ports.clock.monotonic();
  const feed = new PollingFeed(ports, await currentCursor(ports.db), knownAt);
  feed.start();
  return feed;
}

class PollingFeed implements RevocationFeed {
  readonly #ports: FeedPorts;
  readonly #subscribers = new Set<FeedSubscriber>();
  #cursor: RevocationCursor;
  #listening: Promise<Disposable> | undefined;
  #timer: Disposable | undefined;
  #reading = false;
  #again = false;
  #closed = false;
  #upToDateAt: number;
  /** When the last look began that went well. */
  #knownAt: number;
  /** How often it was woken, and how often when that look began. */
  #woken = 0;
  #knownWoken = 0;
  #failed = false;

  constructor(ports: FeedPorts, cursor: RevocationCursor, knownAt: number) {
    this.#ports = ports;
    this.#cursor = cursor;
    this.#upToDateAt = ports.clock.monotonic();
    this.#knownAt = knownAt;
  }

  get age(): number {
    return this.#woken === this.#knownWoken ? this.#ports.clock.monotonic() - this.#knownAt : Number.POSITIVE_INFINITY;
  }

  get staleFor(): number {
    return this.#failed ? Math.max(this.#ports.clock.monotonic() - this.#upToDateAt, 1) : 0;
  }

  start(): void {
    const look = () => this.#lookSoon();
    this.#listening = this.#ports.listener.listen(REVOCATIONS_CHANNEL, { onNotification: look, onGap: look });
    this.#schedule();
  }

  subscribe(subscriber: FeedSubscriber): Disposable {
    this.#subscribers.add(subscriber);
    return { [Symbol.dispose]: () => void this.#subscribers.delete(subscriber) };
  }

  wake(): void {
    this.#woken += 1;
    this.#lookSoon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
    // While the database is away, the listener's acknowledgement may never come: nothing waits for it.
    void this.#listening?.then((subscription) => subscription[Symbol.dispose]());
  }

  #lookSoon(): void {
    if (this.#reading) this.#again = true;
    else void this.#look();
  }

  #schedule(): void {
    if (!this.#closed) this.#timer = this.#ports.clock.schedule(POLL_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    this.#timer?.[Symbol.dispose]();
    this.#reading = true;
    try {
      do {
        this.#again = false;
        const [startedAt, woken] = [this.#ports.clock.monotonic(), this.#woken];
        await this.#readOn();
        this.#knownAt = startedAt;
        this.#knownWoken = woken;
      } while (this.#again && !this.#closed);
      this.#failed = false;
      this.#upToDateAt = this.#ports.clock.monotonic();
    } catch (error) {
      this.#failed = true;
      if (!this.#closed) this.#ports.logger.warn({ err: error }, "revocations cannot be read");
    } finally {
      this.#reading = false;
      this.#schedule();
    }
  }

  async #readOn(): Promise<void> {
    const { db, clock } = this.#ports;
    for (let more = true; more && !this.#closed; ) {
      const reading = readRevocations(db, {}, this.#cursor, { limit: PAGE, nowMs: clock.now() });
      const page = await answerWithin(systemClock, LOST_MS, reading);
      this.#cursor = page.next;
      more = page.more;
      if (page.revocations.length > 0) for (const tell of this.#subscribers) tell(page.revocations);
    }
  }
}
