import { createServer, type Server, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { createVerifier, type Verifier, type VerifierOptions } from "../../src/client/verifier.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import type { TestProject } from "../support/start-app.ts";
import { startTestServer, type TestServer } from "../support/start-test-server.ts";

/** A server with a project, and verifiers of that project's tokens. */
export interface Deployment {
  readonly server: TestServer;
  readonly project: TestProject;
  readonly issuer: string;
  /** A verifier that is ready; it ends with the test. */
  verifier(options?: Partial<VerifierOptions>): Promise<Verifier>;
  /** A stateless token of a new user. */
  token(stateless?: boolean): Promise<{ readonly token: string; readonly tokenId: string; readonly userId: string }>;
}

export async function deploy(): Promise<Deployment> {
  const db = await testDatabase();
  const server = await startTestServer({ address: db.address });
  const project = await server.project();
  const issuer = `${server.url}/projects/${project.id}`;
  return {
    server,
    project,
    issuer,
    async verifier(options) {
      const verifier = createVerifier({ issuer, accessKey: project.accessKey, ...options });
      onTestFinished(() => verifier[Symbol.asyncDispose]());
      await verifier.ready;
      return verifier;
    },
    async token(stateless = true) {
      const { user } = await project.system(UserService).upsertUser({});
      const ref = { ref: { case: "id", value: user?.id ?? "" } } as const;
      const { signedToken, token } = await project.system(TokenService).issueToken({ ref, stateless });
      return { token: signedToken, tokenId: token?.id ?? "", userId: user?.id ?? "" };
    },
  };
}

/** A way to a server that can be cut, and can fall silent without a word. */
export interface Way extends AsyncDisposable {
  readonly url: string;
  /** Ends what goes through it and lets nothing through from then on. */
  cut(): void;
  /** Swallows what goes through it, either way. */
  silence(): void;
  /** Lets new connections through again. */
  open(): void;
}

export async function wayTo(url: string): Promise<Way> {
  const { hostname, port } = new URL(url);
  const { connect } = await import("node:net");
  const sockets = new Set<Socket>();
  let state: "open" | "cut" | "silent" = "open";
  const server: Server = createServer((near) => {
    if (state === "cut") return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => void (state === "silent" || to.write(chunk)));
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const end = () => {
    for (const socket of sockets) socket.destroy();
  };
  const address = server.address() as { port: number };
  return {
    url: `http://127.0.0.1:${address.port}`,
    cut() {
      state = "cut";
      end();
    },
    silence() {
      state = "silent";
    },
    open() {
      end();
      state = "open";
    },
    async [Symbol.asyncDispose]() {
      end();
      await new Promise((closed) => server.close(closed));
    },
  };
}
