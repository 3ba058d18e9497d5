import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import type { Config } from "../../src/config.ts";
import type { DatabaseAddress } from "../../src/db/orm.ts";
import { createLogger } from "../../src/logger.ts";
import { type Overrides, type RunningServer, startServer } from "../../src/server.ts";
import { makeProject, type TestProject, testConfig } from "./start-app.ts";

/** How clients of a real port speak to it. */
export const PROTOCOLS = ["gRPC", "Connect, HTTP/1.1", "Connect, HTTP/2"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

/** The clients of one server. */
export interface Reach {
  readonly url: string;
  /** Sends a credential (none: `.anonymous`) and headers with each call. */
  transport(protocol: Protocol, credential?: string, headers?: Record<string, string>): Transport;
  client<S extends DescService>(service: S, credential?: string, protocol?: Protocol): Client<S>;
  /** Makes a project with an access key. */
  project(): Promise<TestProject>;
}

export interface TestServer extends Reach {
  readonly server: RunningServer;
  readonly config: Config;
  /** The lines of its log so far. */
  readonly log: readonly string[];
}

export interface TestServerOptions extends Partial<Omit<Overrides, "logger">> {
  /** Shared by several servers: they are then one deployment. */
  readonly address: DatabaseAddress;
  readonly config?: Partial<Config>;
  /** The certificate that clients trust, in PEM. */
  readonly ca?: string;
}

/** Starts the production server on a free port, as `muster serve` does; it ends with the test. */
export async function startTestServer(options: TestServerOptions): Promise<TestServer> {
  const { address, config: overrides, ca, ...replaced } = options;
  const log: string[] = [];
  const config = testConfig({ address }, { port: 0, ...overrides });
  const logger = createLogger(config.logLevel, { write: (line: string) => void log.push(line) });
  const server = await startServer(config, { ...replaced, logger });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { server, config, log, ...reach(server.url, config.operatorKey, ca) };
}

/** Reaches a server over the network. */
export function reach(url: string, operatorKey: string, ca?: string): Reach {
  const transport: Reach["transport"] = (protocol, credential, headers = {}) => {
    const sent = credential ? { authorization: `Bearer ${credential}`, ...headers } : headers;
    const send: Interceptor = (next) => (request) => {
      for (const [name, value] of Object.entries(sent)) request.header.set(name, value);
      return next(request);
    };
    const options = { baseUrl: url, interceptors: [send], ...(ca && { nodeOptions: { ca } }) };
    if (protocol === "gRPC") return createGrpcTransport(options);
    return createConnectTransport({ ...options, httpVersion: protocol === "Connect, HTTP/2" ? "2" : "1.1" });
  };
  const client: Reach["client"] = (service, credential, protocol = "gRPC") =>
    createClient(service, transport(protocol, credential));
  const operator = <S extends DescService>(service: S) => client(service, operatorKey);
  const byCredential = <S extends DescService>(service: S, credential?: string) => client(service, credential);
  return { url, transport, client, project: () => makeProject({ client: byCredential, operator }) };
}
