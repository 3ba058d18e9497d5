import type { Message } from "@bufbuild/protobuf";
import type { Interceptor, StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { invalid } from "../errors.ts";

type AnyRequest = UnaryRequest | StreamRequest;

/**
 * Goes on with a request whose messages are shown to `inspect` before the handler sees them; what it throws fails the call. A streaming call's
 * message arrives only when the handler reads, so it is shown then. Where the contract takes one message, a second one fails the call;
 * reflection takes many, and answers each before the next one comes.
 */
export function inspectRequest(
  next: ReturnType<Interceptor>,
  request: AnyRequest,
  inspect: (message: Message) => void | Promise<void>,
): ReturnType<ReturnType<Interceptor>> {
  if (request.stream) {
    const inspected = request.method.methodKind === "server_streaming" ? inspectOnly : inspectEach;
    return next({ ...request, message: inspected(request.message, inspect) });
  }
  // Most have nothing to wait for, and each wait costs every call.
  const inspecting = inspect(request.message);
  return inspecting ? inspecting.then(() => next(request)) : next(request);
}

type Inspect<M> = (message: M) => void | Promise<void>;

async function* inspectEach<M extends Message>(messages: AsyncIterable<M>, inspect: Inspect<M>) {
  for await (const message of messages) {
    await inspect(message);
    yield message;
  }
}

async function* inspectOnly<M extends Message>(messages: AsyncIterable<M>, inspect: Inspect<M>) {
  const message = await onlyOne(messages);
  await inspect(message);
  yield message;
}

async function onlyOne<M>(messages: AsyncIterable<M>): Promise<M> {
  let first: M | undefined;
  for await (const message of messages) {
    if (first !== undefined) throw invalid("", "the call takes one message");
    first = message;
  }
  if (first === undefined) throw invalid("", "the call takes one message");
  return first;
}
