import type { DescMethod, DescMethodServerStreaming, DescMethodUnary, DescService } from "@bufbuild/protobuf";
import { EmptySchema, MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { MusterError } from "../errors.ts";

type Kind = "unary" | "server_streaming";

/** Finds what answers a POST to a method that a served service does not have; undefined for no path of a served service. */
export type UnknownMethods = (path: string, contentType: string) => UniversalHandler | undefined;

/**
 * One method for each service stands for all that it does not have: it is refused with UNIMPLEMENTED in the protocol that it
 * was asked in, logged and counted like any other. All have one name, so that nobody can make up metrics.
 *
 * @param createRouter Gives a router as the services have it.
 */
export function createUnknownMethods(
  createRouter: () => ConnectRouter,
  services: Iterable<DescService>,
): UnknownMethods {
  const all = [...services];
  const unary = handlersOf(createRouter(), all, "unary");
  const streaming = handlersOf(createRouter(), all, "server_streaming");
  return (path, contentType) => {
    const service = /^\/([^/]+)\/[^/]+$/.exec(path)?.[1] ?? "";
    // Only Connect tells the two kinds apart by their content type.
    return (/^application\/connect\+/i.test(contentType) ? streaming : unary).get(service);
  };
}

function handlersOf(router: ConnectRouter, services: readonly DescService[], kind: Kind) {
  for (const service of services) {
    const method = standIn(service, kind);
    if (method?.methodKind === "unary") router.rpc(method as DescMethodUnary, refuse);
    else if (method) router.rpc(method as DescMethodServerStreaming, refuseStream);
  }
  return new Map(router.handlers.map((handler) => [handler.service.typeName, handler]));
}

const refuse = () => Promise.reject(new MusterError("UNIMPLEMENTED"));

const refuseStream = () => ({ [Symbol.asyncIterator]: () => ({ next: refuse }) });

function standIn(service: DescService, methodKind: Kind): DescMethod | undefined {
  const [like] = service.methods;
  return (
    like &&
    ({
      ...like,
      methodKind,
      name: "*",
      input: EmptySchema,
      localName: "*",
      idempotency: MethodOptions_IdempotencyLevel.IDEMPOTENCY_UNKNOWN,
    } as DescMethod)
  );
}
