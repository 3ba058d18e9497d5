import { constants } from "node:http2";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { Clock } from "../clock.ts";
import { isGone, type NodeResponse } from "./plain-http.ts";

/** Writes an answer, and breaks off one whose reader has stalled. Rejects with what the answer's own body fails with. */
export type WriteAnswer = (answer: UniversalServerResponse, response: NodeResponse, whole: boolean) => Promise<void>;

/** A reader has to take at least so much, in bytes per millisecond, beside the time that it is given anyway. */
const SLOWEST = 16;
/** How often it is looked for stalled readers, in parts of the time they are given. */
const LOOKS = 12;

/** Answers that wait for their reader, and until when they may, on the monotonic clock. */
type Waiting = Map<NodeResponse, number>;

/**
 * @param stallTimeoutMs How long a reader may accept nothing. It is then cut off: what it does not take is held in memory.
 */
export function createWriteAnswer(stallTimeoutMs: number, clock: Clock): WriteAnswer {
  const waiting: Waiting = new Map();
  let looking = false;
  const look = () => {
    const now = clock.monotonic();
    for (const [response, until] of waiting) {
      if (until > now) continue;
      waiting.delete(response);
      breakOff(response);
    }
    looking = waiting.size > 0;
    if (looking) clock.schedule(stallTimeoutMs / LOOKS, look);
  };
  const wait = (response: NodeResponse, bytes: number) => {
    waiting.set(response, clock.monotonic() + stallTimeoutMs + bytes / SLOWEST);
    if (looking) return;
    looking = true;
    clock.schedule(stallTimeoutMs / LOOKS, look);
  };
  return async (answer, response, whole) => {
    const body = answer.body ?? [];
    const end = (chunk?: Uint8Array) => {
      if (answer.trailer) response.addTrailers(nodeHeaders(answer.trailer));
      response.once("close", () => waiting.delete(response));
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
      () => waiting.delete(response),
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

function nodeHeaders(headers: Headers | undefined): Record<string, string | string[]> {
  const plain: Record<string, string | string[]> = {};
  headers?.forEach((value, name) => {
    plain[name] = value;
  });
  // The only one that is not joined into one line (RFC 6265 §3).
  const cookies = headers?.getSetCookie() ?? [];
  if (cookies.length > 0) plain["set-cookie"] = cookies;
  return plain;
}

function breakOff(response: NodeResponse): void {
  if ("stream" in response) response.stream.close(constants.NGHTTP2_CANCEL);
  else response.destroy();
}
