import { randomInt } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { RevokedSubject } from "./revocation-set.ts";

/** A message of the stream of revocations. Each carries the place to go on from. */
export interface RevocationMessage {
  readonly resumeToken: Uint8Array;
  /** What ended, and until when that is to be remembered, in milliseconds since the epoch. */
  readonly revoked?: { readonly subject: RevokedSubject; readonly forgetAfter: number };
  /** Whether all that ended so far has been told. */
  readonly complete?: boolean;
  /** Whether something may have ended that Muster itself does not know of at the moment. */
  readonly stale?: boolean;
}

export interface FollowerOptions {
  /** Opens the stream, from the beginning or from a place of an earlier one. It ends when the signal aborts. */
  open(resumeToken: Uint8Array, signal: AbortSignal): AsyncIterable<RevocationMessage>;
  onRevoked(subject: RevokedSubject, forgetAfter: number): void;
  /** Why a stream ended; the next one is tried by itself. */
  onError(error: unknown): void;
  readonly clock: Clock;
  /** The longest silence on a stream that lives, in milliseconds. */
  readonly maxSilenceMs: number;
}

const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 5_000;

/** Follows the stream of revocations: opens it again from where it was when it ends, and knows how long it has heard nothing. */
export class RevocationFollower implements AsyncDisposable {
  readonly #options: FollowerOptions;
  readonly #closed = new AbortController();
  readonly #synced: Promise<void>;
  #sync: () => void = () => {};
  readonly #running: Promise<void>;
  #resumeToken: Uint8Array = new Uint8Array();
  #complete = false;
  #heardAt = Number.NEGATIVE_INFINITY;

  constructor(options: FollowerOptions) {
    this.#options = options;
    this.#synced = new Promise((resolve) => {
      this.#sync = resolve;
    });
    this.#running = this.#run();
  }

  /** Resolves when all that ended so far has been told for the first time. */
  get synced(): Promise<void> {
    return this.#synced;
  }

  /** Whether a stream is open and has told all. */
  get connected(): boolean {
    return this.#complete;
  }

  /** How long ago it last knew of all that had ended, in milliseconds; infinite before the first time. */
  get staleMs(): number {
    return this.#options.clock.monotonic() - this.#heardAt;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let delay = FIRST_DELAY_MS; !this.#closed.signal.aborted; delay = Math.min(delay * 2, LAST_DELAY_MS)) {
      const before = this.#heardAt;
      try {
        await this.#follow();
      } catch (error) {
        if (!this.#closed.signal.aborted) this.#options.onError(error);
      }
      this.#complete = false;
      if (this.#heardAt !== before) delay = FIRST_DELAY_MS;
      await this.#wait(randomInt(delay / 2, delay));
    }
  }

  async #follow(): Promise<void> {
    const { open, clock, maxSilenceMs } = this.#options;
    const silent = new AbortController();
    const signal = AbortSignal.any([silent.signal, this.#closed.signal]);
    const watch = () => clock.schedule(maxSilenceMs, () => silent.abort(new Error("the stream has gone silent")));
    let timer = watch();
    try {
      for await (const message of open(this.#resumeToken, signal)) {
        timer[Symbol.dispose]();
        timer = watch();
        this.#take(message);
      }
    } finally {
      timer[Symbol.dispose]();
    }
  }

  #take({ resumeToken, revoked, complete, stale = false }: RevocationMessage): void {
    if (revoked) this.#options.onRevoked(revoked.subject, revoked.forgetAfter);
    if (resumeToken.length > 0) this.#resumeToken = resumeToken;
    this.#complete ||= complete ?? false;
    // A stream that still tells what was missed does not make the verifier any less stale, nor does one that cannot tell all.
    if (!this.#complete || stale) return;
    this.#heardAt = this.#options.clock.monotonic();
    this.#sync();
  }

  async #wait(delayMs: number): Promise<void> {
    const { signal } = this.#closed;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const over = () => {
        timer[Symbol.dispose]();
        signal.removeEventListener("abort", over);
        resolve();
      };
      const timer = this.#options.clock.schedule(delayMs, over);
      signal.addEventListener("abort", over);
    });
  }
}
