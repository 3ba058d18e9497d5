import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { readConfig } from "../config.ts";
import { AuditService } from "../gen/muster/v1/audit_service_pb.ts";
import { ProjectService } from "../gen/muster/v1/project_service_pb.ts";
import { TokenService } from "../gen/muster/v1/token_service_pb.ts";
import { StartError } from "../start-error.ts";
import { readDevelopmentCredentials } from "./development-credentials.ts";
import type { Host } from "./host.ts";

/** A server, called as its operator. */
export interface ServerClient {
  readonly projects: Client<typeof ProjectService>;
  readonly tokens: Client<typeof TokenService>;
  readonly audit: Client<typeof AuditService>;
  /** The project of the development server; undefined for another server. */
  readonly defaultProjectId: string | undefined;
}

/** A command's calls are few; one that takes longer than this hangs. */
const TIMEOUT_MS = 30_000;

/** Calls the server at `url` with the operator's key. */
export function connectToServer(
  url: string,
  operatorKey: string,
  { ownServer = false, defaultProjectId }: { ownServer?: boolean; defaultProjectId?: string | undefined } = {},
): ServerClient {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${operatorKey}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl: url,
    httpVersion: "1.1",
    interceptors: [authorize],
    defaultTimeoutMs: TIMEOUT_MS,
    // Without an agent nothing holds the connection, and with it the process, open.
    nodeOptions: { agent: false, ...(ownServer && { rejectUnauthorized: false }) },
  });
  return {
    projects: createClient(ProjectService, transport),
    tokens: createClient(TokenService, transport),
    audit: createClient(AuditService, transport),
    defaultProjectId,
  };
}

/** The server that the environment names, else the development server of the data folder. Throws StartError if neither is there. */
export async function connectFromEnvironment(host: Host, url?: string): Promise<ServerClient> {
  const config = readConfig(host.env, { secrets: false });
  const known = await readDevelopmentCredentials(config.dataDir);
  const target = url ?? config.serverUrl ?? known?.url;
  if (!target)
    throw new StartError(
      "There is no server to talk to: set MUSTER_URL and MUSTER_OPERATOR_KEY, or start one with npm start",
    );
  // The key in the file is the development server's: no other server gets to see it.
  const isDevelopment = target === known?.url;
  const operatorKey = config.operatorKey ?? (isDevelopment ? known?.operator_key : undefined);
  if (!operatorKey) throw new StartError(`The operator key of ${target} is not known: set MUSTER_OPERATOR_KEY`);
  return connectToServer(
    target,
    operatorKey,
    isDevelopment ? { ownServer: true, defaultProjectId: known?.project_id } : {},
  );
}
