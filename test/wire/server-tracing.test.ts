import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { createClient } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { refusalOf } from "../support/refusal.ts";
import { PROTOCOLS, startTestServer } from "../support/start-test-server.ts";

const address = await testDatabaseAddress();

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes: { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}

interface Traces {
  readonly resourceSpans: { readonly resource: object; readonly scopeSpans: { readonly spans: Span[] }[] }[];
}

/** A collector that takes OTLP over HTTP in JSON, below a path of its own. */
async function startCollector() {
  const spans: Span[] = [];
  const paths = new Set<string>();
  const collector = createServer(async (request, response) => {
    paths.add(`${request.method} ${request.url}`);
    const traces = (await json(request)) as Traces;
    spans.push(...traces.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans)));
    response.setHeader("content-type", "application/json").end("{}");
  }).listen(0, "127.0.0.1");
  await once(collector, "listening");
  onTestFinished(() => void collector.close());
  return { url: `http://127.0.0.1:${(collector.address() as AddressInfo).port}/collector`, spans, paths };
}

test("the collector gets the span of each call, under the caller's", async () => {
  const collector = await startCollector();
  const { otlpEndpoint } = readConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const server = await startTestServer({ address, config: { otlpEndpoint } });
  const project = await server.project();
  const traceOf = (index: number) => `4bf92f3577b34da6a3ce929d0e0e473${index}`;
  for (const [index, protocol] of PROTOCOLS.entries()) {
    const traceparent = `00-${traceOf(index)}-00f067aa0ba902b7-01`;
    const users = createClient(UserService, server.transport(protocol, project.accessKey, { traceparent }));
    await refusalOf(users.getUser({ ref: { ref: { case: "externalId", value: "nobody" } } }));
  }
  // What is not sent yet goes out before the server has ended.
  await server.server.drain();
  expect([...collector.paths]).toEqual(["POST /collector/v1/traces"]);
  for (const index of PROTOCOLS.keys()) {
    const [span, ...others] = collector.spans.filter(({ traceId }) => traceId === traceOf(index));
    expect(others).toEqual([]);
    expect(span).toMatchObject({ parentSpanId: "00f067aa0ba902b7", name: "muster.v1.UserService/GetUser", kind: 2 });
    expect(span?.spanId).not.toBe("00f067aa0ba902b7");
    expect(span?.attributes.find(({ key }) => key === "rpc.connect_rpc.error_code")?.value.stringValue).toBe(
      "not_found",
    );
  }
  const [made] = collector.spans.filter(({ name }) => name === "muster.v1.ProjectService/CreateProject");
  expect(made?.parentSpanId ?? "").toBe("");
});
