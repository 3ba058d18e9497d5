import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll } from "vitest";
import type { Config } from "../../src/config.ts";
import type { DatabaseAddress } from "../../src/db/orm.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { type IssueTokenRequestSchema, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { startServer } from "../../src/server.ts";
import type { TestProject } from "./start-app.ts";
import { testConfig } from "./start-app.ts";
import { reach } from "./start-test-server.ts";

export const alice = { ref: { case: "externalId", value: "alice" } } as const;
export const me = { ref: { case: "me", value: true } } as const;

/** A page as it came. */
export interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  /** What it says first. */
  readonly title: string;
}

/** A server on a real port for all tests of a file, with what a browser does there. */
export async function startLogoutServer(address: DatabaseAddress, config: Partial<Config> = {}) {
  const whole = testConfig({ address }, { port: 0, ...config });
  const server = await startServer(whole, { logger: createLogger("silent") });
  afterAll(() => server[Symbol.asyncDispose]());
  const reached = reach(server.url, whole.operatorKey);
  return {
    ...reached,
    /** Lets one click do in a project. */
    allowOneClick: (projectId: string) =>
      reached
        .client(ProjectService, whole.operatorKey)
        .updateProject({ projectId, settings: { oneClickLogout: true } }),
  };
}

/** A new token of alice's, and the link that ends it. */
export async function issueTo(
  project: TestProject,
  request: Omit<MessageInitShape<typeof IssueTokenRequestSchema>, "$typeName"> = {},
) {
  const { signedToken, token, logoutUrl } = await project.system(TokenService).issueToken({ ref: alice, ...request });
  return { signedToken, tokenId: token?.id ?? "", userId: token?.userId ?? "", logoutUrl };
}

async function pageOf(answer: Response): Promise<Page> {
  const body = await answer.text();
  return { status: answer.status, headers: answer.headers, body, title: /<h1>(.*)<\/h1>/.exec(body)?.[1] ?? "" };
}

/** Follows a link. */
export const follow = async (url: string, headers: Record<string, string> = {}, method = "GET"): Promise<Page> =>
  pageOf(await fetch(url, { method, headers }));

/** Presses the button of the page that a link leads to, at that server. */
export function press(url: string, headers: Record<string, string> = {}, at = new URL(url).origin): Promise<Page> {
  const token = new URL(url).searchParams.get("token") ?? "";
  return send(at, `token=${encodeURIComponent(token)}`, headers);
}

/** Sends a form. */
export const send = async (origin: string, body: string, headers: Record<string, string> = {}): Promise<Page> =>
  pageOf(
    await fetch(`${origin}/logout`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      body,
    }),
  );
