import type {
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
} from "@bufbuild/protobuf";
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

type StreamImpl = (message: Message, context: HandlerContext) => AsyncIterable<MessageInitShape<DescMethod["output"]>>;

/** An RPC that answers with a stream, and what a service does for it. */
export interface StreamMethod {
  readonly method: DescMethodServerStreaming;
  readonly impl: StreamImpl;
}

/** The RPCs that are registered and take one message, by their paths. */
export interface RecordedMethods {
  /** Registers with the router that it was made of, and notes. */
  readonly router: ConnectRouter;
  readonly methods: ReadonlyMap<string, UnaryMethod | StreamMethod>;
}

/** Whether the RPC answers with a stream. */
export const isStream = (method: UnaryMethod | StreamMethod): method is StreamMethod =>
  method.method.methodKind === "server_streaming";

/** Notes what is registered with a router. A service that brings options of its own, and single RPCs, are for the router alone. */
export function recordMethods(router: ConnectRouter): RecordedMethods {
  const methods = new Map<string, UnaryMethod | StreamMethod>();
  const recording: ConnectRouter = {
    get handlers() {
      return router.handlers;
    },
    service(service, implementation, options) {
      router.service(service, implementation, options);
      if (!options) note(methods, service, implementation);
      return recording;
    },
    rpc(method, impl, options) {
      router.rpc(method, impl, options);
      return recording;
    },
  };
  return { router: recording, methods };
}

function note(methods: Map<string, UnaryMethod | StreamMethod>, service: DescService, implementation: object): void {
  for (const method of service.methods) {
    const impl = (implementation as Record<string, unknown>)[method.localName];
    if (typeof impl !== "function") continue;
    const path = `/${service.typeName}/${method.name}`;
    const bound = impl.bind(implementation);
    if (method.methodKind === "unary") methods.set(path, { method: method as DescMethodUnary, impl: bound });
    else if (method.methodKind === "server_streaming")
      methods.set(path, { method: method as DescMethodServerStreaming, impl: bound });
  }
}
