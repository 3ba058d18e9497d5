import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Clock } from "../clock.ts";
import { invalid, MusterError } from "../errors.ts";
import { type CoarseTimer, type CoarseTimers, createCoarseTimers } from "./coarse-timers.ts";

export interface BodyLimits {
  /** How long a body may take to arrive, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Bytes of all bodies together that have begun and not ended; a body that would go beyond is refused with RATE_LIMITED. */
  readonly maxPendingBytes: number;
}

/** Who a body is for: told once, maybe before the reading has returned. */
export interface BodyTaker {
  arrived(whole: Uint8Array): void;
  refused(why: MusterError): void;
}

/** A body that is arriving. */
export interface ArrivingBody {
  /** The client has left: CANCELLED, unless the body is whole or refused. */
  leave(): void;
}

/**
 * Gives the whole body of a request, unless it is longer than `maxBytes` (MESSAGE_TOO_LARGE, at once if the length is announced),
 * takes too long (DEADLINE_EXCEEDED) or the client leaves (CANCELLED), which is for the caller to hear of. What comes beyond is left unread.
 * `announced` is what `content-length` says.
 */
export type TakeBody = (
  source: Readable,
  announced: string | undefined,
  maxBytes: number,
  taker: BodyTaker,
) => ArrivingBody | undefined;

const NOTHING = new Uint8Array();
/** When to come back after a refusal for want of memory, in milliseconds. */
const RETRY_MS = 1_000;

/** Takes bodies that share the bound of bytes that have arrived of bodies not yet whole. */
export function createTakeBody(limits: BodyLimits, clock: Clock): TakeBody {
  const shared = { limits, timers: createCoarseTimers(limits.bodyTimeoutMs, clock), pending: 0 };
  return (source, announced, maxBytes, taker) => {
    if (announced !== undefined && Number(announced) > maxBytes)
      return void taker.refused(new MusterError("MESSAGE_TOO_LARGE"));
    // An empty body ends without being asked for, and maybe before it is.
    if (source.readableEnded) return void taker.arrived(NOTHING);
    return new Arriving(shared, source, maxBytes, taker);
  };
}

/** The same with a promise; the source is listened to for the client's leaving. */
export function readBody(
  takeBody: TakeBody,
  source: Readable,
  announced: string | undefined,
  maxBytes: number,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const body = takeBody(source, announced, maxBytes, { arrived: resolve, refused: reject });
    if (body) for (const event of ["close", "error"]) source.on(event, () => body.leave());
  });
}

/** What all bodies share. */
interface Shared {
  readonly limits: BodyLimits;
  readonly timers: CoarseTimers;
  pending: number;
}

class Arriving implements ArrivingBody {
  readonly #shared: Shared;
  readonly #source: Readable;
  readonly #maxBytes: number;
  readonly #timer: CoarseTimer;
  /** Unset once it has been told. The listeners stay, which costs less than to take them away, and hold nothing by then. */
  #taker: BodyTaker | undefined;
  #first: Buffer | undefined;
  #others: Buffer[] | undefined;
  #length = 0;

  constructor(shared: Shared, source: Readable, maxBytes: number, taker: BodyTaker) {
    this.#shared = shared;
    this.#source = source;
    this.#maxBytes = maxBytes;
    this.#taker = taker;
    this.#timer = shared.timers.start(0, this);
    source.on("data", (chunk: Buffer) => this.#take(chunk)).on("end", () => this.#end());
  }

  leave(): void {
    if (this.#taker) this.#refuse(new MusterError("CANCELLED"));
  }

  expire(): void {
    if (this.#taker) this.#refuse(new MusterError("DEADLINE_EXCEEDED"));
  }

  #take(chunk: Buffer): void {
    if (!this.#taker) return;
    const shared = this.#shared;
    this.#length += chunk.length;
    shared.pending += chunk.length;
    if (this.#length > this.#maxBytes) this.#refuse(new MusterError("MESSAGE_TOO_LARGE"));
    else if (shared.pending > shared.limits.maxPendingBytes)
      this.#refuse(new MusterError("RATE_LIMITED", { retryAfterMs: RETRY_MS }));
    else if (!this.#first) this.#first = chunk;
    else (this.#others ??= []).push(chunk);
  }

  #end(): void {
    const [first, others] = [this.#first ?? NOTHING, this.#others];
    this.#settle()?.arrived(others ? Buffer.concat([first, ...others]) : first);
  }

  #refuse(why: MusterError): void {
    // A listener stays: a connection that breaks later must not end the process.
    this.#source.on("error", () => {}).pause();
    this.#settle()?.refused(why);
  }

  #settle(): BodyTaker | undefined {
    const taker = this.#taker;
    if (!taker) return undefined;
    this.#taker = undefined;
    this.#first = undefined;
    this.#others = undefined;
    this.#timer.clear();
    this.#shared.pending -= this.#length;
    return taker;
  }
}

const gunzipAsync = promisify(gunzip);

/** Unpacks gzip off the main thread; stops as soon as more than `maxBytes` come out (MESSAGE_TOO_LARGE). */
export async function unpack(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  if (bytes.length === 0) return bytes;
  try {
    return await gunzipAsync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if (error instanceof RangeError) throw new MusterError("MESSAGE_TOO_LARGE");
    throw invalid("", "the body is not gzip, though it says so");
  }
}

/** The refusal of a message that is compressed in another way. */
export const unknownCompression = (): MusterError =>
  new MusterError("UNIMPLEMENTED", {
    violations: [{ field: "", description: "what is compressed has to be so with gzip" }],
  });
