import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { constants, type IncomingHttpHeaders as Http2Headers, type ServerHttp2Stream } from "node:http2";
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../clock.ts";
import type { Answer } from "./fast-framing.ts";
import { dropRest } from "./leave-rest.ts";
import type { HeaderList } from "./light-headers.ts";
import type { NodeHeaders } from "./node-headers.ts";

/** One request and the way its answer takes, on either version of HTTP, with as little of Node in between as there can be. */
export interface Exchange {
  readonly method: string;
  /** With the query. */
  readonly target: string;
  /** `http://host` or `https://host`, as the client named it. */
  readonly origin: string;
  readonly headers: IncomingHttpHeaders;
  /** The request's body. */
  readonly body: Readable;
  /** The connection it came on. */
  readonly connection: object;
  /** Whether the connection carries many calls at a time. */
  readonly isMultiplexed: boolean;
  /** The address of the other end. */
  readonly peer: string | undefined;
  /** Whether nobody is left to read an answer. */
  readonly isGone: boolean;
  /** Tells when the answer has gone, or the client has; maybe twice. */
  onClose(listener: CloseListener): void;
  /** Sends the whole answer. */
  send(answer: Answer): void;
  /** Begins an answer that is written to `output` as it comes. */
  begin(headers: HeaderList): void;
  readonly output: Writable;
  /** Ends it, after a last chunk, with trailers. */
  finish(chunk: Uint8Array | undefined, trailers: HeaderList): void;
  breakOff(): void;
}

const WITH_TRAILERS = { waitForTrailers: true };

function pairs(list: HeaderList): [name: string, value: string][] {
  const found: [string, string][] = [];
  for (let at = 0; at < list.length; at += 2) found.push([list[at] as string, list[at + 1] as string]);
  return found;
}

/** The trailers of nearly all calls. */
const OK: NodeHeaders = { "grpc-status": "0" };

/** Node takes trailers over HTTP/2 in no other form. */
function record(list: HeaderList): NodeHeaders {
  if (list.length === 2 && list[0] === "grpc-status" && list[1] === "0") return OK;
  const found: NodeHeaders = {};
  for (let at = 0; at < list.length; at += 2) {
    const [name, value] = [list[at] as string, list[at + 1] as string];
    const before = found[name];
    found[name] = before === undefined ? value : [before, value].flat();
  }
  return found;
}

/** Who hears of the end of an exchange. */
export interface CloseListener {
  closed(): void;
}

export class Http1Exchange implements Exchange {
  readonly isMultiplexed = false;
  readonly #response: ServerResponse;
  readonly body: IncomingMessage;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.body = request;
    this.#response = response;
  }

  get method(): string {
    return this.body.method ?? "";
  }

  get target(): string {
    return this.body.url ?? "";
  }

  get origin(): string {
    return `${"encrypted" in this.body.socket ? "https" : "http"}://${this.body.headers.host}`;
  }

  get headers(): IncomingHttpHeaders {
    return this.body.headers;
  }

  get connection(): object {
    return this.body.socket;
  }

  get peer(): string | undefined {
    return this.body.socket.remoteAddress;
  }

  get isGone(): boolean {
    return this.#response.destroyed;
  }

  onClose(listener: CloseListener): void {
    const closed = () => listener.closed();
    // Where the connection breaks off within a request, that shows before the response is closed.
    this.body.on("error", closed);
    this.#response.on("close", closed);
  }

  send({ status, headers, body, trailers }: Answer): void {
    const response = this.#response;
    response.writeHead(status, headers);
    if (trailers) response.addTrailers(pairs(trailers));
    response.end(body);
  }

  get output(): Writable {
    return this.#response;
  }

  begin(headers: HeaderList): void {
    this.#response.writeHead(200, headers);
  }

  finish(chunk: Uint8Array | undefined, trailers: HeaderList): void {
    if (trailers.length > 0) this.#response.addTrailers(pairs(trailers));
    this.#response.end(chunk);
  }

  breakOff(): void {
    this.#response.destroy();
  }
}

/** For what is not needed any more. */
const NO_HEADERS: Http2Headers = {};
const ignore = () => {};

/**
 * Node holds on to a stream, and so to all that its listeners hold, until old memory is collected: they hold nothing but the exchange, and that
 * lets go of the call once the stream is closed.
 */
export class Http2Exchange implements Exchange {
  readonly isMultiplexed = true;
  readonly body: ServerHttp2Stream;
  readonly connection: object;
  readonly #clock: Clock;
  #headers: Http2Headers;
  #listener: CloseListener | undefined;
  #trailers: NodeHeaders = {};

  constructor(stream: ServerHttp2Stream, headers: Http2Headers, clock: Clock) {
    this.body = stream;
    this.#headers = headers;
    this.connection = stream.session ?? stream;
    this.#clock = clock;
  }

  get method(): string {
    return this.#headers[":method"] ?? "";
  }

  get target(): string {
    return this.#headers[":path"] ?? "";
  }

  get origin(): string {
    const { session } = this.body;
    return `${session?.encrypted ? "https" : "http"}://${this.#headers[":authority"] ?? this.#headers.host}`;
  }

  get headers(): Http2Headers {
    return this.#headers;
  }

  get peer(): string | undefined {
    return this.body.session?.socket.remoteAddress;
  }

  get isGone(): boolean {
    return this.body.destroyed || this.body.closed;
  }

  onClose(listener: CloseListener): void {
    this.#listener = listener;
    // Without a listener a stream that breaks would end the process; that it does shows by its close.
    this.body.on("error", ignore).on("close", () => this.#letGo());
  }

  send({ status, headers, body, trailers }: Answer): void {
    const stream = this.body;
    headers.push(":status", String(status));
    if (trailers) {
      stream.respond(headers, WITH_TRAILERS);
      this.#announce(record(trailers));
    } else stream.respond(headers);
    this.#end(body);
  }

  get output(): Writable {
    return this.body;
  }

  begin(headers: HeaderList): void {
    this.body.respond([":status", "200", ...headers], WITH_TRAILERS);
  }

  finish(chunk: Uint8Array | undefined, trailers: HeaderList): void {
    this.#announce(record(trailers));
    this.#end(chunk);
  }

  #announce(trailers: NodeHeaders): void {
    this.#trailers = trailers;
    this.body.on("wantTrailers", () => this.body.sendTrailers(this.#trailers));
  }

  #end(chunk: Uint8Array | string | undefined): void {
    if (!this.body.readableEnded) this.body.once("finish", () => this.#leaveRest());
    this.body.end(chunk);
  }

  breakOff(): void {
    this.body.close(constants.NGHTTP2_CANCEL);
  }

  #leaveRest(): void {
    if (!this.body.readableEnded) dropRest(this.body, this.#clock);
  }

  #letGo(): void {
    this.#listener?.closed();
    this.#listener = undefined;
    this.#headers = NO_HEADERS;
    this.#trailers = {};
  }
}
