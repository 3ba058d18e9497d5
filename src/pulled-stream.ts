import { randomInt } from "node:crypto";
import { Alarm } from "./alarm.ts";
import { Bell } from "./bell.ts";
import type { Clock } from "./clock.ts";
import { isShuttingDown, MusterError } from "./errors.ts";

/** What ends a stream from outside. Each stream has its own, so that none collects thousands of listeners. */
export interface StreamSignals {
  /** The caller has left. */
  readonly left: AbortSignal;
  /** The server ends the stream; the reason is what it fails with. */
  readonly ended: AbortSignal;
  /** Called when the stream is over, whatever ended it; it may be more than once. */
  readonly onOver?: () => void;
}

/** What every stream says besides what it is about. */
export type StreamNews =
  | { readonly kind: "heartbeat"; readonly stale: boolean }
  | { readonly kind: "goodbye"; readonly reconnectAfterMs: number };

/** What a stream tells one reader, and where it has it from. */
export interface StreamSource<News extends { readonly kind: string }, Message> {
  /** For how long it has not been able to look, in milliseconds; 0: it is up to date. */
  readonly staleFor: number;
  /** Whether what there is may come late, so that silence says nothing. */
  readonly isStale: boolean;
  /** For how long there is nothing to say if nothing comes, in milliseconds. */
  readonly restMs: number;
  /** What there is to say now; undefined: nothing. */
  next(): Promise<News | undefined>;
  /** The message that says it. */
  message(news: News | StreamNews): Message;
  /** Lets go of everything; may be called again. */
  close(): void;
}

/** A reader that accepts nothing for this long is let go. */
const STALLED_MS = 60_000;
/** For how long a stream goes on that cannot tell what happens. */
const STALE_MS = 60_000;
const RECONNECT_MS = { least: 200, most: 5_000 };

/**
 * One reader's stream, pulled message by message: what to say is decided when the reader asks for more, so that a slow one makes the
 * server keep next to nothing. It says heartbeats while there is nothing to say, and goodbye before SHUTTING_DOWN. All it holds it lets go
 * when it is over: by `return`, by a signal, or by what `next` throws: READER_STALLED, STORAGE_UNAVAILABLE, the reason of the signal, or
 * what its source throws. One `next` may be under way at a time.
 */
export class PulledStream<News extends { readonly kind: string }, Message>
  implements AsyncIterableIterator<Message, undefined>
{
  readonly #clock: Clock;
  readonly #open: () => StreamSource<News, Message>;
  #source: StreamSource<News, Message> | undefined;
  readonly #signals: StreamSignals;
  readonly #heartbeatMs: number;
  readonly #bell: Bell;
  readonly #alarm: Alarm;
  #lastSentAt: number;
  /** Whether it is the reader's turn. */
  #isSent = false;
  #saidGoodbye = false;
  #failure: MusterError | undefined;
  #isOver = false;

  /** `open` is called by the first `next`, which throws what it throws; what it gives calls `onNews` whenever there may be something to say. */
  constructor(
    clock: Clock,
    heartbeatMs: number,
    signals: StreamSignals,
    open: (onNews: () => void) => StreamSource<News, Message>,
  ) {
    this.#clock = clock;
    this.#signals = signals;
    this.#heartbeatMs = heartbeatMs;
    this.#bell = new Bell(clock);
    this.#alarm = new Alarm(clock, () => this.#onTime());
    this.#lastSentAt = clock.monotonic();
    this.#open = () => open(() => this.#bell.ring());
    signals.left.addEventListener("abort", this.#close, { once: true });
    signals.ended.addEventListener("abort", this.#close, { once: true });
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    this.#isSent = false;
    try {
      while (!this.#isOver) {
        this.#source ??= this.#open();
        this.#throwIfOver(this.#source);
        const news = await this.#news(this.#source);
        if (this.#isOver) break;
        // What ended meanwhile says nothing more.
        this.#throwIfOver(this.#source);
        if (news) return { done: false, value: this.#message(news, this.#source) };
        this.#alarm.set(this.#clock.monotonic() + Math.min(this.#source.restMs, this.#silenceMs()));
        await this.#bell.wait();
      }
      return { done: true, value: undefined };
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    this.#end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(): void {
    this.#isOver = true;
    this.#close();
  }

  /** Lets go of everything. A reader that comes back for more is told why there is none. */
  readonly #close = (): void => {
    const { left, ended } = this.#signals;
    left.removeEventListener("abort", this.#close);
    ended.removeEventListener("abort", this.#close);
    this.#source?.close();
    this.#alarm[Symbol.dispose]();
    this.#bell.ring();
    this.#signals.onOver?.();
  };

  #throwIfOver(source: StreamSource<News, Message>): void {
    const { left, ended } = this.#signals;
    left.throwIfAborted();
    if (this.#failure) throw this.#failure;
    if (ended.aborted && (this.#saidGoodbye || !isShuttingDown(ended.reason))) throw ended.reason;
    if (ended.aborted) return;
    if (source.staleFor >= STALE_MS) throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 });
  }

  async #news(source: StreamSource<News, Message>): Promise<News | StreamNews | undefined> {
    if (this.#signals.ended.aborted)
      return { kind: "goodbye", reconnectAfterMs: randomInt(RECONNECT_MS.least, RECONNECT_MS.most) };
    const news = await source.next();
    if (news || this.#silenceMs() > 0) return news;
    return { kind: "heartbeat", stale: source.isStale };
  }

  #message(news: News | StreamNews, source: StreamSource<News, Message>): Message {
    this.#lastSentAt = this.#clock.monotonic();
    this.#saidGoodbye = news.kind === "goodbye";
    this.#isSent = true;
    this.#alarm.set(this.#lastSentAt + STALLED_MS);
    return source.message(news);
  }

  #onTime(): void {
    if (!this.#isSent) return this.#bell.ring();
    this.#failure = new MusterError("READER_STALLED");
    this.#close();
  }

  /** For how long nothing need be said. */
  #silenceMs(): number {
    return this.#lastSentAt + this.#heartbeatMs - this.#clock.monotonic();
  }
}

/** The same stream in another form. */
export function inForm<From, To>(
  stream: AsyncIterator<From, undefined>,
  form: (message: From) => To,
): AsyncIterableIterator<To, undefined> {
  const formed: AsyncIterableIterator<To, undefined> = {
    async next() {
      const { done, value } = await stream.next();
      return done ? { done, value } : { done: false, value: form(value) };
    },
    async return() {
      await stream.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => formed,
  };
  return formed;
}
