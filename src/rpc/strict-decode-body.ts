import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { Clock } from "../clock.ts";
import { invalid, MusterError } from "../errors.ts";
import type { NodeRequest } from "./plain-http.ts";

/**
 * The whole body of a request, unless it is longer than `maxBytes` (MESSAGE_TOO_LARGE, at once if the length is announced),
 * takes longer than `timeoutMs` (DEADLINE_EXCEEDED) or the client leaves (CANCELLED). What comes beyond is left unread.
 */
export function readBody(request: NodeRequest, maxBytes: number, timeoutMs: number, clock: Clock): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    if (Number(request.headers["content-length"] ?? 0) > maxBytes) return reject(new MusterError("MESSAGE_TOO_LARGE"));
    const chunks: Buffer[] = [];
    let length = 0;
    const timer = clock.schedule(timeoutMs, () => stop(new MusterError("DEADLINE_EXCEEDED")));
    const onData = (chunk: Buffer) => {
      length += chunk.length;
      if (length > maxBytes) stop(new MusterError("MESSAGE_TOO_LARGE"));
      else chunks.push(chunk);
    };
    const onEnd = () => {
      stop();
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, length));
    };
    const onClose = () => stop(new MusterError("CANCELLED"));
    const stop = (failure?: MusterError) => {
      timer[Symbol.dispose]();
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      if (!failure) return;
      // A listener stays: a connection that breaks later must not end the process.
      request.on("error", () => {});
      request.pause();
      reject(failure);
    };
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
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
