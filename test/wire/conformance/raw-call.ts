import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";

/** A request, byte for byte. */
export interface RawRequest {
  readonly http: "1.1" | "2";
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body?: Uint8Array;
  /** Ends the body after it; false: the rest never comes. */
  readonly ends?: boolean;
}

/** An answer as it came over the wire, but for what differs from time to time. */
export interface RawAnswer {
  readonly status: number;
  /** `name: value`, in order of name. */
  readonly headers: readonly string[];
  readonly body: string;
  readonly trailers: readonly string[];
  /** How an HTTP/2 stream ended. */
  readonly code?: number;
}

/** A client of one server, which keeps its HTTP/2 connection. */
export class RawClient implements Disposable {
  readonly #port: number;
  #session: ClientHttp2Session | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  call(request: RawRequest): Promise<RawAnswer> {
    return request.http === "2" ? this.#overHttp2(request) : this.#overHttp1(request);
  }

  [Symbol.dispose](): void {
    this.#session?.destroy();
  }

  get session(): ClientHttp2Session {
    if (!this.#session || this.#session.closed || this.#session.destroyed)
      this.#session = connectHttp2(`http://127.0.0.1:${this.#port}`).on("error", () => {});
    return this.#session;
  }

  #overHttp2({ method, path, headers, body, ends = true }: RawRequest): Promise<RawAnswer> {
    const { promise, resolve } = Promise.withResolvers<RawAnswer>();
    const pseudo = [":method", method, ":path", path, ":scheme", "http", ":authority", "test.example"];
    const stream = this.session.request([...pseudo, ...headers.flat()], { endStream: !body && ends });
    const chunks: Buffer[] = [];
    let [status, answered, trailers]: [number, string[], string[]] = [0, [], []];
    stream.on("response", (received) => {
      status = Number(received[":status"]);
      answered = linesOf(received);
    });
    stream.on("trailers", (received) => (trailers = linesOf(received)));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.on("close", () =>
      resolve({ status, headers: answered, body: shown(Buffer.concat(chunks)), trailers, code: stream.rstCode }),
    );
    if (body) stream.write(body);
    if (ends && body) stream.end();
    return promise;
  }

  async #overHttp1({ method, path, headers, body, ends = true }: RawRequest): Promise<RawAnswer> {
    const socket = connect(this.#port, "127.0.0.1");
    const all: (readonly [string, string])[] = [["host", "test.example"], ["connection", "close"], ...headers];
    const isSized = headers.some(([name]) => name === "content-length");
    if (body && !isSized) all.push(["content-length", String(body.length + (ends ? 0 : 1))]);
    socket.write(`${method} ${path} HTTP/1.1\r\n${all.map((header) => header.join(": ")).join("\r\n")}\r\n\r\n`);
    if (body) socket.write(body);
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", () => {});
    await new Promise((resolve) => socket.once("close", resolve));
    return parseHttp1(Buffer.concat(chunks));
  }
}

function linesOf(received: object): string[] {
  const lines = Object.entries(received).flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}`));
  return masked(lines);
}

const masked = (lines: readonly string[]): string[] =>
  lines
    .filter((line) => !/^date:/i.test(line))
    .map(mask)
    .toSorted();

function parseHttp1(bytes: Buffer): RawAnswer {
  const end = bytes.indexOf("\r\n\r\n");
  const [first = "", ...lines] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const status = Number(first.split(" ")[1]);
  const rest = bytes.subarray(end + 4);
  const isChunked = lines.some((line) => /^transfer-encoding: chunked/i.test(line));
  const { body, trailers } = isChunked ? dechunked(rest) : { body: rest, trailers: [] };
  return {
    status,
    headers: masked(lines.map((line) => line.toLowerCase())),
    body: shown(body),
    trailers: masked(trailers),
  };
}

function dechunked(bytes: Buffer): { body: Buffer; trailers: string[] } {
  const chunks: Buffer[] = [];
  for (let at = 0; ; ) {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) return { body: Buffer.concat(chunks), trailers: ["(the body was cut off)"] };
    const length = Number.parseInt(bytes.subarray(at, end).toString(), 16);
    if (length === 0) {
      const trailers = bytes
        .subarray(end + 2)
        .toString("latin1")
        .split("\r\n")
        .filter(Boolean);
      return { body: Buffer.concat(chunks), trailers };
    }
    chunks.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
}

/** The bytes as text, each of them a character. */
const shown = (bytes: Buffer): string => mask(bytes.toString("latin1"));

/** An unforeseen failure has an id that is made for it, and may stand in base64. */
function mask(text: string): string {
  const plain = text.replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<id>");
  return plain.replaceAll(/[A-Za-z0-9+/]{60,}={0,2}/g, (word) => {
    const inner = Buffer.from(word, "base64").toString("latin1");
    return inner.includes("error_id") ? inner.replaceAll(/[0-9a-f-]{36}/g, "<id>") : word;
  });
}
