import { randomInt } from "node:crypto";
import { Bell } from "../bell.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { isShuttingDown, MusterError } from "../errors.ts";
import type { PageTokens } from "../page-tokens.ts";
import type { RevocationFeed } from "./feed.ts";
import { BEGINNING, type ReadRevocation, type RevocationCursor, readRevocations } from "./read-revocations.ts";
import { createResumeToken, readResumeToken } from "./resume-token.ts";
import type { Revocation } from "./revocation.ts";

/** What a stream says. */
export type RevocationEvent =
  | { readonly kind: "revocation"; readonly revocation: Revocation }
  | { readonly kind: "snapshotComplete" }
  | { readonly kind: "heartbeat"; readonly stale: boolean }
  | { readonly kind: "goodbye"; readonly reconnectAfterMs: number };

/** One message of a stream. */
export interface RevocationMessage {
  /** Empty until there is where to go on from. */
  readonly resumeToken: Uint8Array;
  readonly event: RevocationEvent;
}

export interface WatchRevocationsPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly feed: RevocationFeed;
  readonly pageTokens: PageTokens;
}

export interface WatchRevocationsInput {
  readonly projectId: string;
  /** Empty: from the beginning. */
  readonly resumeToken: Uint8Array;
}

/** What ends a stream from outside. */
export interface WatchSignals {
  /** The caller has left. */
  readonly left: AbortSignal;
  /** The server ends the stream; the reason is what it fails with. */
  readonly ended: AbortSignal;
}

const HEARTBEAT_MS = 5_000;
/** A reader that accepts nothing for this long is let go. */
const STALLED_MS = 60_000;
/** For how long a stream goes on that cannot tell what ends. */
const STALE_MS = 60_000;
const RETRY_MS = 500;
const RECONNECT_MS = { least: 200, most: 5_000 };
const PAGE = 500;

/**
 * Streams what ends in a project: (revocation)* → snapshot complete → (revocation | heartbeat)* → goodbye, until a signal or the reader's
 * stalling ends it. READER_STALLED, STORAGE_UNAVAILABLE, or the reason of the signal; before SHUTTING_DOWN it says goodbye.
 */
export async function* watchRevocations(
  ports: WatchRevocationsPorts,
  input: WatchRevocationsInput,
  signals: WatchSignals,
): AsyncGenerator<RevocationMessage, never> {
  const stream = new RevocationStream(ports, input, signals);
  try {
    for (;;) yield await stream.next();
  } finally {
    stream.close();
  }
}

/**
 * One reader's stream, pulled message by message. It has a cursor of its own and reads when the reader asks for more, so that a slow one
 * makes the server keep a page at most; the feed only says when to look.
 */
class RevocationStream {
  readonly #ports: WatchRevocationsPorts;
  readonly #projectId: string;
  readonly #signals: WatchSignals;
  readonly #bell: Bell;
  readonly #subscription: Disposable;
  #cursor: RevocationCursor;
  /** Read, and not yet sent. */
  #page: ReadRevocation[] = [];
  /** Whether there may be something after what was read. */
  #due = true;
  #retryAt = Number.NEGATIVE_INFINITY;
  #live = false;
  #saidGoodbye = false;
  #failure: MusterError | undefined;
  #lastSentAt = 0;
  #token: Uint8Array;
  #stall: Disposable | undefined;

  constructor(ports: WatchRevocationsPorts, { projectId, resumeToken }: WatchRevocationsInput, signals: WatchSignals) {
    const cursor = readResumeToken(ports.pageTokens, projectId, resumeToken);
    this.#ports = ports;
    this.#projectId = projectId;
    this.#signals = signals;
    this.#bell = new Bell(ports.clock);
    this.#cursor = cursor ?? BEGINNING;
    this.#token = cursor ? resumeToken : new Uint8Array();
    this.#subscription = ports.feed.subscribe((revocations) => {
      if (!revocations.some((it) => it.projectId === projectId)) return;
      this.#due = true;
      this.#bell.ring();
    });
    signals.left.addEventListener("abort", this.close, { once: true });
    signals.ended.addEventListener("abort", this.close, { once: true });
  }

  async next(): Promise<RevocationMessage> {
    this.#stall?.[Symbol.dispose]();
    for (;;) {
      this.#throwIfOver();
      const event = await this.#event();
      // What ended meanwhile says nothing more.
      this.#throwIfOver();
      if (event) return this.#message(event);
      await this.#bell.wait(this.#patience());
    }
  }

  /** Lets go of everything. A reader that comes back for more is told why there is none. */
  readonly close = (): void => {
    const { left, ended } = this.#signals;
    left.removeEventListener("abort", this.close);
    ended.removeEventListener("abort", this.close);
    this.#subscription[Symbol.dispose]();
    this.#stall?.[Symbol.dispose]();
    this.#page = [];
    this.#bell.ring();
  };

  #throwIfOver(): void {
    const { left, ended } = this.#signals;
    left.throwIfAborted();
    if (this.#failure) throw this.#failure;
    if (ended.aborted && (this.#saidGoodbye || !isShuttingDown(ended.reason))) throw ended.reason;
    if (ended.aborted) return;
    if (this.#ports.feed.staleFor >= STALE_MS) throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 });
  }

  async #event(): Promise<RevocationEvent | undefined> {
    const { clock, feed } = this.#ports;
    if (this.#signals.ended.aborted)
      return { kind: "goodbye", reconnectAfterMs: randomInt(RECONNECT_MS.least, RECONNECT_MS.most) };
    while (this.#page.length === 0 && this.#due && clock.monotonic() >= this.#retryAt) await this.#read();
    const revocation = this.#page.shift();
    if (revocation) {
      if (this.#live || this.#token.length > 0) this.#moveOn(revocation.cursor);
      return { kind: "revocation", revocation };
    }
    if (!this.#live && !this.#due) {
      this.#live = true;
      this.#moveOn(this.#cursor);
      return { kind: "snapshotComplete" };
    }
    if (clock.monotonic() - this.#lastSentAt < HEARTBEAT_MS) return undefined;
    return { kind: "heartbeat", stale: this.#due || feed.staleFor > 0 };
  }

  /** Takes the next page in. Live, the database may be away for a while. */
  async #read(): Promise<void> {
    const { db, clock } = this.#ports;
    const scope = { projectId: this.#projectId, signal: this.#signals.left };
    // What is told while this reads may be too late for it.
    this.#due = false;
    try {
      const page = await readRevocations(db, scope, this.#cursor, { limit: PAGE, nowMs: clock.now() });
      this.#cursor = page.next;
      this.#due ||= page.more;
      this.#page = page.revocations.filter(isTold);
    } catch (error) {
      this.#due = true;
      this.#retryAt = clock.monotonic() + RETRY_MS;
      const away = error instanceof MusterError && error.reason === "STORAGE_UNAVAILABLE";
      if (!this.#live || !away) throw error;
    }
  }

  #moveOn(cursor: RevocationCursor): void {
    this.#token = createResumeToken(this.#ports.pageTokens, this.#projectId, cursor);
  }

  #message(event: RevocationEvent): RevocationMessage {
    const { clock } = this.#ports;
    this.#lastSentAt = clock.monotonic();
    this.#saidGoodbye = event.kind === "goodbye";
    this.#stall = clock.schedule(STALLED_MS, () => {
      this.#failure = new MusterError("READER_STALLED");
      this.close();
    });
    return { resumeToken: this.#token, event };
  }

  /** For how long there is nothing to say if nothing comes. */
  #patience(): number {
    const now = this.#ports.clock.monotonic();
    const heartbeat = this.#lastSentAt + HEARTBEAT_MS - now;
    return this.#due ? Math.min(heartbeat, this.#retryAt - now) : heartbeat;
  }
}

/** Access keys are no tokens, and with the project its watchers go. */
const isTold = ({ subject }: Revocation): boolean => !("accessKeyId" in subject) && !("wholeProject" in subject);
