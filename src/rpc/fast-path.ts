import type { DescMessage, Message } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { createMethodSerializationLookup } from "@connectrpc/connect/protocol";
import type { ClientAddress } from "./client-address.ts";
import type { Exchange } from "./exchange.ts";
import { createRunCall } from "./fast-call.ts";
import { CONNECT, FRAMINGS, type Framing } from "./fast-framing.ts";
import { type FastParts, FastRequest, type FastTarget } from "./fast-request.ts";
import { createKeptBytes } from "./kept-bytes.ts";
import type { NodeHeaders } from "./node-headers.ts";
import { isStream, type StreamMethod, type UnaryMethod } from "./service-methods.ts";
import { STREAM_FRAMINGS } from "./stream-framing.ts";

export interface FastPathOptions extends Omit<FastParts, "run" | "addressOf"> {
  readonly methods: ReadonlyMap<string, UnaryMethod | StreamMethod>;
  /** The types of the messages that many streams may say. */
  readonly sharedTypes: ReadonlySet<DescMessage>;
  readonly clientAddress: ClientAddress;
}

/**
 * Calls that take one message, as most clients make them, without the protocol handlers of Connect: the same gate, decoder, interceptors and services, and the
 * same answers on the wire. What it does not take is for the protocol handlers.
 */
export interface FastPath {
  /** What a request calls; undefined: it is not for the fast path. */
  find(path: string, exchange: Exchange): FastTarget | undefined;
  /** Answers it, with `extra` headers, now or later. Never throws. */
  serve(target: FastTarget, exchange: Exchange, extra: NodeHeaders): void;
}

/** A fast path for these methods, with the limits of the protocol handlers behind it. */
export function createFastPath(options: FastPathOptions): FastPath {
  const callees = calleesOf(options);
  const parts = { ...options, run: createRunCall(options), addressOf: createAddresses(options.clientAddress) };
  return {
    find(path, exchange) {
      const callee = callees.get(path);
      const framing = callee && framingOf(callee, exchange);
      return framing && { callee, framing };
    },
    serve(target, exchange, extra) {
      try {
        new FastRequest(parts, target, exchange, extra).start();
      } catch (error) {
        if (!exchange.isGone) options.logger.error({ err: error }, "a call could not be begun");
        exchange.breakOff();
      }
    },
  };
}

/** Tells whom a call comes from. Without a proxy all calls of a connection come from one address. */
function createAddresses(clientAddress: ClientAddress): (exchange: Exchange) => string {
  const addresses = new WeakMap<object, string>();
  return (exchange) => {
    const forwarded = exchange.headers["x-forwarded-for"];
    if (forwarded !== undefined) return clientAddress(exchange.peer, forwarded);
    let address = addresses.get(exchange.connection);
    if (address === undefined) {
      address = clientAddress(exchange.peer, undefined);
      addresses.set(exchange.connection, address);
    }
    return address;
  };
}

type AnyCallee = FastTarget["callee"];

function calleesOf({ methods, framing, limits, sharedTypes }: FastPathOptions): ReadonlyMap<string, AnyCallee> {
  const lookup = ({ method }: UnaryMethod | StreamMethod) =>
    createMethodSerializationLookup(method, undefined, framing.json, limits);
  const writerFor = createKeptBytes(sharedTypes);
  const calleeOf = (each: UnaryMethod | StreamMethod): AnyCallee => {
    const writeShared = isStream(each) ? writerFor(each.method.output) : undefined;
    const keptJson =
      isStream(each) && sharedTypes.has(each.method.output) ? new WeakMap<Message, Uint8Array>() : undefined;
    return { ...each, serialization: lookup(each), writeShared, keptJson };
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
