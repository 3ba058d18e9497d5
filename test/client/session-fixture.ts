import { createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { createSession, type Grant, type Session, type SessionOptions } from "../../src/client/session.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";
import type { TestProject } from "../support/start-app.ts";
import { startTestServer } from "../support/start-test-server.ts";

/** A server, and apps whose calls go through sessions. */
export interface Apps {
  readonly project: TestProject;
  /** Of the server and of every session. */
  readonly clock: FakeClock;
  /** The names of the RPCs that reached the server through the sessions' own transport, in order. */
  readonly own: string[];
  /** Signs in as a new guest. */
  signIn(): Promise<Grant>;
  /** An app, not yet signed in; it ends with the test. */
  app(options?: Partial<SessionOptions>): { readonly session: Session; readonly transport: Transport };
  /** What is called before a call of the sessions' own goes out, and may fail it after it was answered. */
  lose: number;
}

export async function startApps(): Promise<Apps> {
  const db = await testDatabase();
  const clock = createFakeClock(Date.parse("2026-03-01T12:00:00Z"));
  const server = await startTestServer({ address: db.address, clock });
  const project = await server.project();
  const own: string[] = [];
  const apps: Apps = {
    project,
    clock,
    own,
    lose: 0,
    async signIn() {
      const credential = { case: "guest", value: { name: "Ada" } } as const;
      const sessions = createClient(SessionService, server.transport("Connect, HTTP/1.1"));
      const { grant } = await sessions.createSession({ projectId: project.id, credential });
      return grant as Grant;
    },
    app(options) {
      const watch: Interceptor = (next) => async (request) => {
        own.push(request.method.name);
        const answer = await next(request);
        if (apps.lose-- > 0) throw new TypeError("the answer was lost");
        return answer;
      };
      const reach = { baseUrl: server.url, httpVersion: "1.1" } as const;
      const transport = createConnectTransport({ ...reach, interceptors: [watch] });
      const session = createSession({ transport, projectId: project.id, clock, ...options });
      onTestFinished(() => session[Symbol.dispose]());
      return { session, transport: createConnectTransport({ ...reach, interceptors: [session.interceptor] }) };
    },
  };
  return apps;
}
