import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Clock } from "../clock.ts";
import { invalid, MusterError } from "../errors.ts";
import { type CoarseTimers, createCoarseTimers } from "./coarse-timers.ts";

export interface BodyLimits {
  /** How long a body may take to arrive, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Bytes of all bodies together that have begun and not ended; a body that would go beyond is refused with RATE_LIMITED. */
  readonly maxPendingBytes: number;
}

/** Where a body comes from. */
export interface BodyStream {
  readonly stream: Readable;
  /** What `content-length` says. */
  readonly announced: string | undefined;
  /** Takes what is to be called if the client leaves; without it the stream itself is listened to. */
  onLeave?(leave: () => void): void;
}

/**
 * The whole body of a request, unless it is longer than `maxBytes` (MESSAGE_TOO_LARGE, at once if the length is announced),
 * takes too long (DEADLINE_EXCEEDED) or the client leaves (CANCELLED). What comes beyond is left unread.
 */
export type ReadBody = (source: BodyStream, maxBytes: number) => Promise<Uint8Array>;

const NOTHING = Promise.resolve(new Uint8Array());
/** When to come back after a refusal for want of memory, in milliseconds. */
const RETRY_MS = 1_000;

/** A reader whose bodies share the bound of bytes that have arrived of bodies not yet whole. */
export function createReadBody(limits: BodyLimits, clock: Clock): ReadBody {
  const shared = { limits, timers: createCoarseTimers(limits.bodyTimeoutMs, clock), pending: 0 };
  return (source, maxBytes) => {
    if (Number(source.announced ?? 0) > maxBytes) return Promise.reject(new MusterError("MESSAGE_TOO_LARGE"));
    // An empty body ends without being asked for, and maybe before it is.
    if (source.stream.readableEnded) return NOTHING;
    return new Promise((resolve, reject) => new ArrivingBody(shared, source, maxBytes, resolve, reject));
  };
}

/** What all bodies share. */
interface Shared {
  readonly limits: BodyLimits;
  readonly timers: CoarseTimers;
  pending: number;
}

const ignore = () => {};

class ArrivingBody {
  readonly #shared: Shared;
  readonly #source: Readable;
  readonly #maxBytes: number;
  #resolve: (whole: Uint8Array) => void;
  #reject: (why: MusterError) => void;
  #chunks: Buffer[] = [];
  #length = 0;
  #isOver = false;

  constructor(
    shared: Shared,
    { stream, onLeave }: BodyStream,
    maxBytes: number,
    resolve: (whole: Uint8Array) => void,
    reject: (why: MusterError) => void,
  ) {
    this.#shared = shared;
    this.#source = stream;
    this.#maxBytes = maxBytes;
    this.#resolve = resolve;
    this.#reject = reject;
    shared.timers.set(this, 0, () => this.#refuse(new MusterError("DEADLINE_EXCEEDED")));
    const leave = () => this.#refuse(new MusterError("CANCELLED"));
    stream.on("data", (chunk: Buffer) => this.#take(chunk)).on("end", () => this.#end());
    if (onLeave) onLeave(leave);
    else stream.on("close", leave).on("error", leave);
  }

  #take(chunk: Buffer): void {
    if (this.#isOver) return;
    const { limits } = this.#shared;
    this.#length += chunk.length;
    this.#shared.pending += chunk.length;
    if (this.#length > this.#maxBytes) this.#refuse(new MusterError("MESSAGE_TOO_LARGE"));
    else if (this.#shared.pending > limits.maxPendingBytes)
      this.#refuse(new MusterError("RATE_LIMITED", { retryAfterMs: RETRY_MS }));
    else this.#chunks.push(chunk);
  }

  #end(): void {
    if (this.#isOver) return;
    const [only = Buffer.alloc(0)] = this.#chunks;
    this.#resolve(this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : only);
    this.#close();
  }

  #refuse(why: MusterError): void {
    if (this.#isOver) return;
    // A listener stays: a connection that breaks later must not end the process.
    this.#source.on("error", () => {}).pause();
    this.#reject(why);
    this.#close();
  }

  /** The listeners stay, which costs less than to take them away, and hold nothing. */
  #close(): void {
    this.#isOver = true;
    this.#shared.timers.clear(this);
    this.#shared.pending -= this.#length;
    this.#chunks = [];
    this.#resolve = this.#reject = ignore;
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
