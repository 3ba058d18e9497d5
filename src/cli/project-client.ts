import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { readConfig } from "../config.ts";
import { EventService } from "../gen/muster/v1/event_service_pb.ts";
import { ExternalAuthService } from "../gen/muster/v1/external_auth_service_pb.ts";
import { ProjectService } from "../gen/muster/v1/project_service_pb.ts";
import { UserService } from "../gen/muster/v1/user_service_pb.ts";
import { StartError } from "../start-error.ts";
import { readDevelopmentCredentials } from "./development-credentials.ts";
import type { Host } from "./host.ts";

/** A server, called as `.system` of a project over connections that are kept. Disposing closes them. */
export interface ProjectClient extends Disposable {
  readonly users: Client<typeof UserService>;
  readonly auth: Client<typeof ExternalAuthService>;
  readonly events: Client<typeof EventService>;
  readonly projectId: string;
}

/** The server that the environment names, else the development server of the data folder. Throws StartError if neither is there. */
export async function connectAsProject(host: Host, url?: string): Promise<ProjectClient> {
  const config = readConfig(host.env, { secrets: false });
  const known = await readDevelopmentCredentials(config.dataDir);
  const target = url ?? config.serverUrl ?? known?.url;
  if (!target)
    throw new StartError(
      "There is no server to talk to: set MUSTER_URL and MUSTER_ACCESS_KEY, or start one with npm start",
    );
  // The key in the file is the development server's: no other server gets to see it.
  const isDevelopment = target === known?.url;
  const accessKey = config.accessKey ?? (isDevelopment ? known?.access_key : undefined);
  if (!accessKey)
    throw new StartError(
      `An access key for ${target} is not known: set MUSTER_ACCESS_KEY (muster key create makes one)`,
    );
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${accessKey}`);
    return next(request);
  };
  const agent = target.startsWith("https:")
    ? new HttpsAgent({ keepAlive: true, rejectUnauthorized: !isDevelopment })
    : new HttpAgent({ keepAlive: true });
  // Binary costs both sides less than JSON. Nothing is compressed: most imports run beside the server, where it would cost more
  // than it saves.
  const transport = createConnectTransport({
    baseUrl: target,
    httpVersion: "1.1",
    useBinaryFormat: true,
    interceptors: [authorize],
    acceptCompression: [],
    nodeOptions: { agent },
  });
  try {
    const { project } = await createClient(ProjectService, transport).getProject({}, { timeoutMs: 30_000 });
    const users = createClient(UserService, transport);
    const auth = createClient(ExternalAuthService, transport);
    const events = createClient(EventService, transport);
    return { users, auth, events, projectId: project?.id ?? "", [Symbol.dispose]: () => agent.destroy() };
  } catch (error) {
    agent.destroy();
    throw error;
  }
}
