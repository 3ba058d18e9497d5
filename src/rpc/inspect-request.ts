import type { Message } from "@bufbuild/protobuf";
import type { StreamRequest, UnaryRequest } from "@connectrpc/connect";
import { invalid } from "../errors.ts";

type AnyRequest = UnaryRequest | StreamRequest;

/**
 * Shows the one message of a request to `inspect` before the handler sees it; what it throws fails the call.
 * A streaming call's message arrives only when the handler reads, so it is shown then.
 */
export async function inspectRequest<R extends AnyRequest>(
  request: R,
  inspect: (message: Message) => void | Promise<void>,
): Promise<R> {
  if (request.stream) return { ...request, message: inspected(request.message, inspect) };
  await inspect(request.message);
  return request;
}

async function* inspected<M extends Message>(
  messages: AsyncIterable<M>,
  inspect: (message: M) => void | Promise<void>,
) {
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
