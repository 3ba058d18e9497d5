import type { Message } from "@bufbuild/protobuf";
import type { StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { invalid } from "../errors.ts";

type AnyRequest = UnaryRequest | StreamRequest;

/**
 * Shows each message of a request to `inspect` before the handler sees it; what it throws fails the call. A streaming call's message
 * arrives only when the handler reads, so it is shown then. Where the contract takes one message, a second one fails the call; reflection
 * takes many, and answers each before the next one comes.
 */
export async function inspectRequest<R extends AnyRequest>(
  request: R,
  inspect: (message: Message) => void | Promise<void>,
): Promise<R> {
  if (request.stream) {
    const inspected = request.method.methodKind === "server_streaming" ? inspectOnly : inspectEach;
    return { ...request, message: inspected(request.message, inspect) };
  }
  await inspect(request.message);
  return request;
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
