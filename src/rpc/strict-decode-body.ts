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

/**
 * The whole body of a request, unless it is longer than `maxBytes` (MESSAGE_TOO_LARGE, at once if the length is announced),
 * takes too long (DEADLINE_EXCEEDED) or the client leaves (CANCELLED). What comes beyond is left unread. `announced` is what
 * `content-length` says.
 */
export type ReadBody = (source: Readable, announced: string | undefined, maxBytes: number) => Promise<Uint8Array>;

const NOTHING = new Uint8Array();
/** When to come back after a refusal for want of memory, in milliseconds. */
const RETRY_MS = 1_000;

/** A reader whose bodies share the bound of bytes that have arrived of bodies not yet whole. */
export function createReadBody(limits: BodyLimits, clock: Clock): ReadBody {
  const timers = createCoarseTimers(limits.bodyTimeoutMs, clock);
  let pending = 0;
  return async (source, announced, maxBytes) => {
    if (Number(announced ?? 0) > maxBytes) throw new MusterError("MESSAGE_TOO_LARGE");
    let length = 0;
    const admit = (bytes: number): MusterError | undefined => {
      length += bytes;
      pending += bytes;
      if (length > maxBytes) return new MusterError("MESSAGE_TOO_LARGE");
      return pending > limits.maxPendingBytes ? new MusterError("RATE_LIMITED", { retryAfterMs: RETRY_MS }) : undefined;
    };
    try {
      return await gather(source, admit, timers);
    } finally {
      pending -= length;
    }
  };
}

function gather(
  source: Readable,
  admit: (bytes: number) => MusterError | undefined,
  timers: CoarseTimers,
): Promise<Uint8Array> {
  // An empty body ends without being asked for, and maybe before it is.
  if (source.readableEnded) return Promise.resolve(NOTHING);
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const chunks: Buffer[] = [];
  timers.set(source, 0, () => stop(new MusterError("DEADLINE_EXCEEDED")));
  const onData = (chunk: Buffer) => {
    const refusal = admit(chunk.length);
    if (refusal) stop(refusal);
    else chunks.push(chunk);
  };
  const onEnd = () => {
    stop();
    resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
  };
  const onClose = () => stop(new MusterError("CANCELLED"));
  const stop = (failure?: MusterError) => {
    timers.clear(source);
    source.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
    if (!failure) return;
    // A listener stays: a connection that breaks later must not end the process.
    source.on("error", () => {});
    source.pause();
    reject(failure);
  };
  source.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  return promise;
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
