import { type Agent, type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { type Answer, EgressError } from "./egress.ts";
import type { Target } from "./target.ts";

/** What is sent, and what bounds the answer. */
export interface Exchange {
  readonly agent: Agent;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
  readonly maxBytes: number;
  readonly ignoreBody?: boolean;
  readonly signal: AbortSignal;
}

const MAX_HEADER_BYTES = 16_384;
/** May be sent twice without harm (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "PUT", "DELETE"]);

/**
 * Sends a request and reads its answer. One that met a connection which the server was about to close goes out once more, if that can do
 * no harm. Throws what Node does, or EgressError.
 */
export async function exchange(target: Target, asked: Exchange): Promise<Answer> {
  const first = open(target, asked);
  const answer = await first.answer.catch((error: unknown) => {
    const wasClosed = first.request.reusedSocket && isReset(error) && IDEMPOTENT.has(asked.method);
    if (!wasClosed || asked.signal.aborted) throw error;
    return open(target, asked).answer;
  });
  try {
    if (!asked.ignoreBody) requirePlain(answer, target);
    const read = asked.ignoreBody ? passBody(answer, asked.maxBytes) : readBody(answer, target, asked.maxBytes);
    const body = await read;
    return { status: answer.statusCode ?? 0, headers: headersOf(answer), body };
  } finally {
    // Without effect on one that was read to its end.
    answer.destroy();
  }
}

function open({ url, origin }: Target, asked: Exchange): { request: ClientRequest; answer: Promise<IncomingMessage> } {
  const { agent, method, headers, body, signal } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  const options = { agent, method, headers, signal, maxHeaderSize: MAX_HEADER_BYTES, insecureHTTPParser: false };
  const request = send(url, options);
  request.on("response", resolve).on("error", reject);
  signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  // Without a listener, Node drops the connection and tells nobody.
  request.on("upgrade", (_, socket) => {
    socket.destroy();
    reject(new EgressError("MALFORMED", `${origin} answered with another protocol`));
  });
  request.end(body);
  return { request, answer: promise };
}

const isReset = (error: unknown) =>
  error instanceof Error && "code" in error && /^(ECONNRESET|EPIPE)$/.test(`${error.code}`);

function requirePlain({ headers }: IncomingMessage, { origin }: Target): void {
  const coding = headers["content-encoding"] ?? "identity";
  if (coding.toLowerCase() !== "identity")
    throw new EgressError("MALFORMED", `${origin} answered in a content coding, of which none was asked for`);
}

async function readBody(answer: IncomingMessage, { origin }: Target, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let size = Number(answer.headers["content-length"] ?? 0) > maxBytes ? Number.POSITIVE_INFINITY : 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new EgressError("TOO_LARGE", `${origin} answered more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Reads a body for nobody, or some of it. Gives an empty one. */
async function passBody(answer: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) break;
  }
  return Buffer.alloc(0);
}

const headersOf = ({ headersDistinct }: IncomingMessage): Record<string, string> =>
  Object.fromEntries(Object.entries(headersDistinct).map(([name, values = []]) => [name, values.join(", ")]));
