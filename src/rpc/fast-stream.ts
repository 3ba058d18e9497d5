import { create, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor, type StreamRequest, type StreamResponse } from "@connectrpc/connect";
import { createAsyncIterable } from "@connectrpc/connect/protocol";
import type { Clock } from "../clock.ts";
import type { CoarseTimers } from "./coarse-timers.ts";
import type { Exchange } from "./exchange.ts";
import { createContexts, internal, type ReadCall, startDeadline } from "./fast-call.ts";
import type { FramingOptions } from "./fast-framing.ts";
import { followMessages } from "./follow-messages.ts";
import { addMissing, headerList } from "./light-headers.ts";
import type { NodeHeaders } from "./node-headers.ts";
import type { StreamMethod } from "./service-methods.ts";
import { createFrames, streamEnd, streamHeaders } from "./stream-framing.ts";
import { timeFor } from "./write-answer.ts";

/** Where the answer of a stream goes. */
export interface StreamTarget {
  readonly exchange: Exchange;
  /** Headers that those of the stream may replace. */
  readonly extra: NodeHeaders;
  /** The times that readers are given in which they have to take something. */
  readonly stalls: CoarseTimers;
  readonly framing: FramingOptions;
  /** The longest message, in bytes. */
  readonly writeMaxBytes: number;
}

type StreamCall = ReadCall<StreamMethod>;
type Next = Parameters<Interceptor>[0];

/** What a call answers, and whether it has been begun. */
interface Begun {
  readonly header: Headers;
  readonly trailer: Headers;
  /** From so many bytes on a message is compressed. */
  readonly minBytes: number;
  begin(): void;
}

/**
 * Calls the service behind the interceptors, the first of which is outermost, and writes what it answers, message by message: the next is asked for once the
 * connection takes more. The header goes with the first message, or with the end; until then the service may add to it. Whichever way
 * it ends, the service's messages have come to their end or were left, and the signal of the call is aborted.
 */
export async function runStream(
  call: StreamCall,
  target: StreamTarget,
  interceptors: readonly Interceptor[],
  clock: Clock,
): Promise<void> {
  const { exchange, stalls } = target;
  const answer = answerOf(call, target);
  using _deadline = startDeadline(call, clock);
  let error: ConnectError | undefined;
  try {
    const messages = await ask(call, answer, interceptors, clock);
    await pass(call, messages, answer, target);
  } catch (cause) {
    error = cause instanceof ConnectError ? cause : internal(cause);
  }
  // Without a reason it would make one of its own, with a stack.
  call.controller.abort(error ?? OVER);
  const end = await streamEnd(call.framing, answer.trailer, error, answer.minBytes, target.framing);
  if (exchange.isGone) return;
  answer.begin();
  stalls.set(exchange, timeFor(end.chunk?.length ?? 0), () => exchange.breakOff());
  exchange.finish(end.chunk, end.trailers);
}

const OVER = new ConnectError("the stream is over", Code.Canceled);

function answerOf({ framing, gzip }: StreamCall, { exchange, extra, framing: options }: StreamTarget): Begun {
  const { header, trailer } = streamHeaders(framing, gzip);
  let isBegun = false;
  return {
    header,
    trailer,
    minBytes: gzip ? options.compressMinBytes : Number.POSITIVE_INFINITY,
    begin() {
      if (isBegun) return;
      isBegun = true;
      const headers = [...headerList(header)];
      addMissing(headers, extra);
      exchange.begin(headers);
    },
  };
}

/** What the service answers, as the interceptors let it through. */
async function ask(
  call: StreamCall,
  { header, trailer }: Begun,
  interceptors: readonly Interceptor[],
  clock: Clock,
): Promise<AsyncIterator<Message>> {
  let next: Next = serviceOf(call, header, trailer, clock);
  for (let index = interceptors.length - 1; index >= 0; index--) next = interceptors[index]?.(next) ?? next;
  const request = { ...call.request, stream: true, message: createAsyncIterable([call.request.message]) };
  const answered = (await next(request as unknown as StreamRequest)) as StreamResponse;
  return answered.message[Symbol.asyncIterator]();
}

/** The innermost step: the service itself. */
function serviceOf(call: StreamCall, header: Headers, trailer: Headers, clock: Clock): Next {
  const { method, impl } = call.callee;
  const service = method.parent;
  const contextOf = createContexts(call, header, trailer, clock);
  return async (request) => {
    const answered = impl(await onlyOf((request as StreamRequest).message), contextOf(request));
    const message = followMessages(answered, { change: (each) => create(method.output, each) });
    return { stream: true, service, method, header, trailer, message };
  };
}

/** There is one; that there are no more is for the interceptors to see to, which are shown it when it is read to its end. */
async function onlyOf(messages: AsyncIterable<Message>): Promise<Message> {
  let only: Message | undefined;
  for await (const message of messages) only = message;
  return only as Message;
}

/** Writes the messages, each once the one before it has been taken. */
async function pass(
  { callee, framing }: StreamCall,
  messages: AsyncIterator<Message>,
  { begin, minBytes }: Begun,
  target: StreamTarget,
): Promise<void> {
  const { exchange } = target;
  const frameOf = createFrames(callee, framing.codec, minBytes, target.writeMaxBytes);
  for (let next = await messages.next(); !next.done; next = await messages.next()) {
    let frame: Uint8Array | Promise<Uint8Array>;
    try {
      frame = frameOf(next.value);
    } catch (error) {
      await messages.return?.();
      throw error;
    }
    if (frame instanceof Promise) frame = await frame;
    if (exchange.isGone) return void (await messages.return?.());
    begin();
    if (!exchange.output.write(frame)) await drained(target, frame.length);
  }
}

/** Until the connection takes more, or is gone. A reader that stalls is cut off. */
function drained({ exchange, stalls }: StreamTarget, bytes: number): Promise<void> {
  const { output } = exchange;
  stalls.set(exchange, timeFor(bytes), () => exchange.breakOff());
  return new Promise((resolve) => {
    const done = () => {
      output.off("drain", done).off("close", done);
      stalls.clear(exchange);
      resolve();
    };
    output.on("drain", done).on("close", done);
  });
}
