import { createRegistry, type DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { TestApp } from "./start-app.ts";
import { startTestServer } from "./start-test-server.ts";

/** How a call gets to a service and back: without a port, or over one in either encoding. */
export const WAYS = ["the chain alone", "gRPC and binary", "Connect and JSON"] as const;
export type Way = (typeof WAYS)[number];

/** A new project, reached by one of the ways as `.system`; a server that it takes ends with the test. */
export interface ReachedProject {
  readonly projectId: string;
  system<S extends DescService>(service: S): Client<S>;
}

export async function reachBy(app: TestApp, way: Way): Promise<ReachedProject> {
  if (way === "the chain alone") {
    const { id: projectId, system } = await app.project();
    return { projectId, system };
  }
  const server = await startTestServer({ address: app.db.address });
  const { id: projectId, accessKey } = await server.project();
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${accessKey}`);
    return next(request);
  };
  const options = { baseUrl: server.url, interceptors: [authorize] };
  const jsonOptions = { registry: createRegistry(ErrorInfoSchema, BadRequestSchema) };
  const transport =
    way === "gRPC and binary"
      ? createGrpcTransport(options)
      : createConnectTransport({ ...options, httpVersion: "1.1", useBinaryFormat: false, jsonOptions });
  return { projectId, system: (service) => createClient(service, transport) };
}
