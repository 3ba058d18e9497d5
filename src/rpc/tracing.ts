import type { SpanContext } from "@opentelemetry/api";

/** The span of one call. */
export interface CallSpan {
  /** Ends it with the call's code, in Connect's spelling; `ok` for success. */
  end(code: string): void;
}

export interface Tracing extends AsyncDisposable {
  /** Begins the span of a call, under the caller's if the headers carry `traceparent` (W3C Trace Context). */
  startCall(service: string, method: string, headers: Headers): CallSpan;
}

const NO_SPAN: CallSpan = { end() {} };

/** Traces nothing. */
export const NO_TRACING: Tracing = { startCall: () => NO_SPAN, async [Symbol.asyncDispose]() {} };

/**
 * Sends spans to the collector at an OTLP/HTTP base URL such as `http://collector:4318`, below which `v1/traces` is the place for
 * them (OpenTelemetry Protocol Exporter). Without one nothing of OpenTelemetry is even loaded. Nothing global is set.
 */
export async function createTracing(endpoint: string | undefined): Promise<Tracing> {
  if (!endpoint) return NO_TRACING;
  const [{ ROOT_CONTEXT, SpanKind, SpanStatusCode, trace }, sdk, { OTLPTraceExporter }] = await Promise.all([
    import("@opentelemetry/api"),
    import("@opentelemetry/sdk-trace-node"),
    import("@opentelemetry/exporter-trace-otlp-http"),
  ]);
  const exporter = new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces` });
  const provider = new sdk.NodeTracerProvider({
    resource: RESOURCE,
    spanProcessors: [new sdk.BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer("muster");
  return {
    startCall(service, method, headers) {
      const parent = parentOf(headers);
      const context = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : ROOT_CONTEXT;
      const attributes = { "rpc.system": "connect_rpc", "rpc.service": service, "rpc.method": method };
      const span = tracer.startSpan(`${service}/${method}`, { kind: SpanKind.SERVER, attributes }, context);
      return {
        end(code) {
          span.setAttribute("rpc.connect_rpc.error_code", code);
          if (SERVER_FAULTS.has(code)) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },
    [Symbol.asyncDispose]: () => provider.shutdown(),
  };
}

/** What these spans say of where they come from. */
const RESOURCE = {
  attributes: { "service.name": "muster" },
  merge: () => RESOURCE,
  getRawAttributes: () => Object.entries(RESOURCE.attributes) as [string, string][],
};

/** The codes for which a server's span is an error, by OpenTelemetry's conventions for RPC. */
const SERVER_FAULTS = new Set([
  "unknown",
  "deadline_exceeded",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
]);

/** The caller's span. A header that is not of version 00's form is passed over, as the standard asks. */
export function parentOf(headers: Headers): SpanContext | undefined {
  const match = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/.exec(
    headers.get("traceparent") ?? "",
  );
  if (!match) return undefined;
  const [, traceId = "", spanId = "", flags = ""] = match;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}
