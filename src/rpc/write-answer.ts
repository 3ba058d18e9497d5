import { constants } from "node:http2";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { CoarseTimers } from "./coarse-timers.ts";
import { nodeHeaders } from "./node-headers.ts";
import { isGone, type NodeResponse } from "./plain-http.ts";

/** Writes an answer, and breaks off one whose reader has stalled. Rejects with what the answer's own body fails with. */
export type WriteAnswer = (answer: UniversalServerResponse, response: NodeResponse, whole: boolean) => Promise<void>;

/** A reader has to take at least so much, in bytes per millisecond, beside the time that it is given anyway. */
const SLOWEST = 16;

/** How much longer than another a reader may take that is given so many bytes, in milliseconds. */
export const timeFor = (bytes: number): number => bytes / SLOWEST;

/** @param stalls The times that readers are given in which they have to take something. */
export function createWriteAnswer(stalls: CoarseTimers): WriteAnswer {
  const wait = (response: NodeResponse, bytes: number) =>
    stalls.set(response, timeFor(bytes), () => breakOff(response));
  return async (answer, response, whole) => {
    const body = answer.body ?? [];
    const end = (chunk?: Uint8Array) => {
      if (answer.trailer) response.addTrailers(nodeHeaders(answer.trailer));
      response.once("close", () => stalls.clear(response));
      wait(response, chunk?.length ?? 0);
      if (chunk) response.end(chunk);
      else response.end();
    };
    if (whole) {
      const chunk = await gathered(body);
      if (isGone(response)) return;
      writeHead(response, answer);
      return end(chunk);
    }
    await pass(
      body,
      answer,
      response,
      (bytes) => wait(response, bytes),
      () => stalls.clear(response),
    );
    if (isGone(response)) return;
    writeHead(response, answer);
    end();
  };
}

async function gathered(body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

/** Passes a body on as it comes, as fast as it is taken. The body is left when the reader is gone. */
async function pass(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  answer: UniversalServerResponse,
  response: NodeResponse,
  wait: (bytes: number) => void,
  go: () => void,
): Promise<void> {
  for await (const chunk of body) {
    if (isGone(response)) return;
    // Not before: what makes the body may still add to the header until its first chunk is there.
    writeHead(response, answer);
    if (writeChunk(response, chunk)) continue;
    wait(chunk.length);
    await drained(response);
    go();
  }
}

/** The two kinds of response declare `write` apart from each other. */
const writeChunk = (response: NodeResponse, chunk: Uint8Array): boolean =>
  "stream" in response ? response.write(chunk) : response.write(chunk);

/** Until the response takes more, or is gone. */
function drained(response: NodeResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done).off("close", done);
      resolve();
    };
    response.on("drain", done).on("close", done);
  });
}

function writeHead(response: NodeResponse, { status, header }: UniversalServerResponse): void {
  if (response.headersSent) return;
  const headers = nodeHeaders(header);
  if ("stream" in response) response.writeHead(status, headers);
  else response.writeHead(status, headers);
}

function breakOff(response: NodeResponse): void {
  if ("stream" in response) response.stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}
