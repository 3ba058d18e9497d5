import { create, type DescMessage, type DescMethod, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ContextValues, type Interceptor, type UnaryRequest } from "@connectrpc/connect";
import { createMethodSerializationLookup } from "@connectrpc/connect/protocol";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logger.ts";
import { CallValues } from "./call-values.ts";
import { CLIENT_ADDRESS, type ClientAddress } from "./client-address.ts";
import type { CoarseTimers } from "./coarse-timers.ts";
import type { Exchange } from "./exchange.ts";
import { type Callee, createRunCall, type RunCall } from "./fast-call.ts";
import { acceptsGzip, CONNECT, FRAMINGS, type Framing, type FramingOptions, frame } from "./fast-framing.ts";
import { runStream } from "./fast-stream.ts";
import type { Gate } from "./gate.ts";
import { createKeptBytes } from "./kept-bytes.ts";
import { addMissing, RequestHeaders } from "./light-headers.ts";
import type { NodeHeaders } from "./node-headers.ts";
import { CONNECTION } from "./open-streams.ts";
import { isStream, type StreamMethod, type UnaryMethod } from "./service-methods.ts";
import { settle } from "./settle.ts";
import { STREAM_FRAMINGS } from "./stream-framing.ts";
import { timeoutOf } from "./strict-decode-format.ts";
import type { MessageReader } from "./strict-decode-message.ts";
import { messageOfQuery } from "./strict-decode-query.ts";
import { leaveUndecoded, UNDECODED } from "./undecoded.ts";
import { timeFor } from "./write-answer.ts";

export interface FastPathOptions {
  readonly methods: ReadonlyMap<string, UnaryMethod | StreamMethod>;
  readonly gate: Gate;
  /** THE list, outermost first. */
  readonly interceptors: readonly Interceptor[];
  readonly reader: MessageReader;
  /** The types of the messages that many streams may say. */
  readonly sharedTypes: ReadonlySet<DescMessage>;
  readonly stalls: CoarseTimers;
  readonly framing: FramingOptions;
  readonly limits: { readonly readMaxBytes: number; readonly writeMaxBytes: number; readonly maxTimeoutMs: number };
  readonly clientAddress: ClientAddress;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A call that the fast path takes. */
export interface FastTarget {
  readonly callee: AnyCallee;
  readonly framing: Framing;
}

type AnyCallee = Callee<UnaryMethod | StreamMethod>;

/**
 * Calls that take one message, as most clients make them, without the protocol handlers of Connect: the same gate, decoder, interceptors and services, and the
 * same answers on the wire. What it does not take is for the protocol handlers.
 */
export interface FastPath {
  /** What a request calls; undefined: it is not for the fast path. */
  find(path: string, exchange: Exchange): FastTarget | undefined;
  /** Answers it, with `extra` headers. Never rejects. */
  serve(target: FastTarget, exchange: Exchange, extra: NodeHeaders): Promise<void>;
}

/** A fast path for these methods, with the limits of the protocol handlers behind it. */
export function createFastPath(options: FastPathOptions): FastPath {
  const callees = calleesOf(options);
  const callOf = createCalls(options.clientAddress);
  const run = createRunCall(options);
  return {
    find(path, exchange) {
      const callee = callees.get(path);
      const framing = callee && framingOf(callee, exchange);
      return framing && { callee, framing };
    },
    async serve(target, exchange, extra) {
      try {
        await serve(options, run, exchange, callOf(target, exchange), extra);
      } catch (error) {
        if (exchange.isGone) return;
        options.logger.error({ err: error, rpc: rpcOf(target) }, "an answer could not be written");
        fail(exchange, extra);
      }
    },
  };
}

const rpcOf = ({ callee: { method } }: FastTarget): string => `${method.parent.typeName}/${method.name}`;

function fail(exchange: Exchange, extra: NodeHeaders): void {
  try {
    const headers = ["content-length", "0"];
    addMissing(headers, extra);
    exchange.send({ status: 500, headers, body: new Uint8Array() });
  } catch {
    exchange.breakOff();
  }
}

function calleesOf({ methods, framing, limits, sharedTypes }: FastPathOptions): ReadonlyMap<string, AnyCallee> {
  const lookup = ({ method }: UnaryMethod | StreamMethod) =>
    createMethodSerializationLookup(method, undefined, framing.json, limits);
  const writerFor = createKeptBytes(sharedTypes);
  const calleeOf = (each: UnaryMethod | StreamMethod): AnyCallee => {
    const writeShared = isStream(each) ? writerFor(each.method.output) : undefined;
    return { ...each, serialization: lookup(each), writeShared };
  };
  return new Map([...methods].map(([path, each]) => [path, calleeOf(each)]));
}

function framingOf(callee: AnyCallee, { method: verb, target, headers }: Exchange): Framing | undefined {
  const type = headers["content-type"];
  // Who waits to be asked for its message is for Node to ask.
  if (headers.expect !== undefined) return undefined;
  if (verb === "POST")
    return type === undefined ? undefined : (isStream(callee) ? STREAM_FRAMINGS : FRAMINGS).get(type);
  const isGet =
    verb === "GET" && !isStream(callee) && callee.method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  if (!isGet || type !== undefined) return undefined;
  const encoding = new URL(target, "http://host").searchParams.get("encoding");
  if (encoding === "json") return CONNECT.json;
  return encoding === "proto" ? CONNECT.binary : undefined;
}

/** A call whose message is yet to be read. */
interface NewCall extends FastTarget {
  readonly request: { -readonly [K in keyof UnaryRequest]: UnaryRequest[K] };
  readonly controller: AbortController;
  /** Tells who reads the message that the client has left. */
  leave: (() => void) | undefined;
}

/** Makes of an exchange what the gate, the interceptors and the service see. */
function createCalls(clientAddress: ClientAddress): (target: FastTarget, exchange: Exchange) => NewCall {
  // Without a proxy all calls of a connection come from one address.
  const addresses = new WeakMap<object, string>();
  const addressOf = (exchange: Exchange): string => {
    const forwarded = exchange.headers["x-forwarded-for"];
    if (forwarded !== undefined) return clientAddress(exchange.peer, forwarded);
    let address = addresses.get(exchange.connection);
    if (address === undefined) {
      address = clientAddress(exchange.peer, undefined);
      addresses.set(exchange.connection, address);
    }
    return address;
  };
  return ({ callee, framing }, exchange) => {
    const { method } = callee;
    const controller = new AbortController();
    const values = new CallValues().set(CLIENT_ADDRESS, addressOf(exchange));
    if (exchange.isMultiplexed) values.set(CONNECTION, exchange.connection);
    const { target } = exchange;
    const request: NewCall["request"] = {
      stream: false,
      service: method.parent,
      // That of a stream is made a stream's once its message is there.
      method: method as DescMethodUnary,
      requestMethod: exchange.method,
      url: target.startsWith("/") ? exchange.origin + target : target,
      signal: controller.signal,
      header: new RequestHeaders(exchange.headers),
      contextValues: values,
      message: NO_MESSAGE,
    };
    return { callee, framing, request, controller, leave: undefined };
  };
}

/** Stands for the message until it has been read. */
const NO_MESSAGE = {} as Message;

async function serve(
  options: FastPathOptions,
  run: RunCall,
  exchange: Exchange,
  call: NewCall,
  extra: NodeHeaders,
): Promise<void> {
  const { callee, framing, request, controller } = call;
  const { stalls } = options;
  let isAnswered = false;
  exchange.onClose(() => {
    stalls.clear(exchange);
    if (!isAnswered && !controller.signal.aborted) controller.abort(new ConnectError("the client left", Code.Canceled));
    call.leave?.();
  });
  const passing = pass(options.gate, callee.method, request);
  if (passing) await passing;
  if (controller.signal.aborted) return;
  const encoding = request.header.get(framing.encodingHeader) ?? "identity";
  const timeoutMs = await read(options, call, exchange, encoding);
  // Nobody is left to read an answer.
  if (controller.signal.aborted) return;
  const gzip = acceptsGzip(framing, request.header.get(framing.acceptHeader), encoding);
  const rest = { framing, request, controller, gzip, timeoutMs };
  if (isStream(callee)) {
    const { writeMaxBytes } = options.limits;
    const target = { exchange, extra, stalls, framing: options.framing, writeMaxBytes };
    return runStream({ callee, ...rest }, target, options.interceptors, options.clock);
  }
  const running = run({ callee, ...rest });
  const framed = frame(framing, running instanceof Promise ? await running : running, gzip, options.framing);
  const answer = framed instanceof Promise ? await framed : framed;
  if (exchange.isGone) return;
  isAnswered = true;
  stalls.set(exchange, timeFor(answer.body.length), () => exchange.breakOff());
  addMissing(answer.headers, extra);
  exchange.send(answer);
}

/** Asks the gate. What it throws is for the interceptors to throw. */
function pass(gate: Gate, method: DescMethod, request: UnaryRequest): void | Promise<void> {
  const refuse = (refusal: unknown) => leaveUndecoded(request.contextValues, refusal);
  return settle(
    () => gate(method, request),
    () => {},
    refuse,
  );
}

/** Puts the message in its place, or an empty one and why it was not read, and gives the deadline. */
async function read(
  { reader, limits }: FastPathOptions,
  call: NewCall,
  { body: stream, headers }: Exchange,
  encoding: string,
): Promise<number | undefined> {
  const { framing, request } = call;
  const { contextValues: values, header, method, url } = request;
  try {
    const timeoutMs = timeoutOf(header.get(framing.timeoutHeader), framing.timeoutHeader, limits.maxTimeoutMs);
    if (values.get(UNDECODED)) request.message = create(method.input);
    else if (request.requestMethod === "GET") request.message = await readQuery(reader, method, url, values);
    else {
      const onLeave = (leave: () => void) => {
        call.leave = leave;
      };
      const source = { stream, announced: headers["content-length"], encoding, onLeave };
      const message = reader.message(
        method,
        framing,
        source,
        await reader.body(method, framing, source, values),
        values,
      );
      request.message = message instanceof Promise ? await message : message;
    }
    return timeoutMs;
  } catch (error) {
    request.message = create(method.input);
    leaveUndecoded(values, error);
    return undefined;
  }
}

async function readQuery(reader: MessageReader, method: DescMethod, url: string, values: ContextValues) {
  const message = messageOfQuery(new URL(url), reader.maxBytes(method, "binary", values));
  // A query without an encoding is not for the fast path.
  if (!message) return create(method.input);
  return reader.decode(method.input, message.codec, await message.bytes());
}
