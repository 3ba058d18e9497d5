import type { DescMethod, DescMethodUnary, DescService, Message, MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";

type UnaryImpl = (
  message: Message,
  context: HandlerContext,
) => MessageInitShape<DescMethod["output"]> | Promise<MessageInitShape<DescMethod["output"]>>;

/** A unary RPC, and what a service does for it. */
export interface UnaryMethod {
  readonly method: DescMethodUnary;
  readonly impl: UnaryImpl;
}

/** The unary RPCs that are registered, by their paths. */
export interface RecordedMethods {
  /** Registers with the router that it was made of, and notes. */
  readonly router: ConnectRouter;
  readonly unary: ReadonlyMap<string, UnaryMethod>;
}

/** Notes what is registered with a router. A service that brings options of its own, and single RPCs, are for the router alone. */
export function recordMethods(router: ConnectRouter): RecordedMethods {
  const unary = new Map<string, UnaryMethod>();
  const recording: ConnectRouter = {
    get handlers() {
      return router.handlers;
    },
    service(service, implementation, options) {
      router.service(service, implementation, options);
      if (!options) note(unary, service, implementation);
      return recording;
    },
    rpc(method, impl, options) {
      router.rpc(method, impl, options);
      return recording;
    },
  };
  return { router: recording, unary };
}

function note(unary: Map<string, UnaryMethod>, service: DescService, implementation: object): void {
  for (const method of service.methods) {
    const impl = (implementation as Record<string, unknown>)[method.localName];
    if (method.methodKind !== "unary" || typeof impl !== "function") continue;
    unary.set(`/${service.typeName}/${method.name}`, {
      method: method as DescMethodUnary,
      impl: (impl as UnaryImpl).bind(implementation),
    });
  }
}
