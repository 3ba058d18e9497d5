import { expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { keyPair, signJws } from "../external-auth/external-fixture.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { startTestServer, type TestServer } from "../support/start-test-server.ts";

const address = await testDatabaseAddress();

/** What is looked at of the answers. */
interface Answer {
  readonly user: { readonly id: string };
  readonly grant: { readonly sessionToken?: string; readonly session: object };
  readonly outcome: string;
}

/** Calls as a browser does from a page of the server itself. */
async function post(server: TestServer, rpc: string, message: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/muster.v1.${rpc}`, {
    method: "POST",
    headers: { "content-type": "application/json", origin: server.url, ...headers },
    body: JSON.stringify(message),
  });
  return {
    status: response.status,
    cookies: response.headers.getSetCookie(),
    answer: (await response.json()) as Answer,
  };
}

const cookieHeader = (cookies: readonly string[]) => cookies.map((line) => line.split(";")[0]).join("; ");
const named = (cookies: readonly string[], name: string) => cookies.filter((line) => line.startsWith(`${name}=`));

test("a page signs in, calls, refreshes and signs out by cookies, of which each answer sets both", async () => {
  const server = await startTestServer({ address });
  const { id: projectId } = await server.project();
  const signedIn = await post(server, "SessionService/CreateSession", { projectId, guest: {}, cookieOnly: true });
  expect(signedIn.status).toBe(200);
  expect(signedIn.answer.grant.sessionToken).toBeUndefined();
  for (const name of ["__Host-muster-session", "__Host-muster-refresh"])
    expect(named(signedIn.cookies, name)[0]).toMatch(/; Path=\/; Max-Age=\d+; HttpOnly; Secure; SameSite=Lax$/);
  const cookie = cookieHeader(signedIn.cookies);
  const me = await post(server, "UserService/GetUser", { ref: { me: true } }, { cookie });
  expect(me.answer.user.id).toBe(signedIn.answer.user.id);
  const refreshed = await post(server, "TokenService/RefreshToken", { projectId, cookieOnly: true }, { cookie });
  expect(refreshed.answer.outcome).toBe("REFRESH_OUTCOME_ROTATED");
  expect(refreshed.cookies).toHaveLength(2);
  const second = cookieHeader(refreshed.cookies);
  const out = await post(server, "SessionService/DeleteSession", {}, { cookie: second });
  expect(out.cookies.map((line) => line.split("; ").slice(0, 3).join("; "))).toEqual([
    "__Host-muster-session=; Path=/; Max-Age=0",
    "__Host-muster-refresh=; Path=/; Max-Age=0",
  ]);
  expect((await post(server, "UserService/GetUser", { ref: { me: true } }, { cookie: second })).status).toBe(401);
  const again = await post(server, "SessionService/CreateSession", { projectId, guest: {} }, { cookie: second });
  expect(again.status).toBe(200);
});

test("a page that has a JWT of the project's own system is given cookies, and stays in and signs out by them", async () => {
  const server = await startTestServer({ address });
  const { id: projectId, system } = await server.project();
  const pair = keyPair();
  await system(ExternalAuthService).rotateExternalKey({ key: { case: "publicKeyPem", value: pair.pem } });
  const now = Math.floor(Date.now() / 1_000);
  const userJwt = signJws(pair, { alg: "ES256" }, { iss: projectId, sub: "ada", iat: now, exp: now + 60 });
  const rpc = "ExternalAuthService/VerifyExternalUser";
  const signedIn = await post(server, rpc, { projectId, userJwt, cookieOnly: true });
  expect([signedIn.status, signedIn.answer.grant.sessionToken]).toEqual([200, undefined]);
  const cookie = cookieHeader(signedIn.cookies);
  const refreshed = await post(server, "TokenService/RefreshToken", { projectId, cookieOnly: true }, { cookie });
  expect(refreshed.answer.user.id).toBe(signedIn.answer.user.id);
  const second = cookieHeader(refreshed.cookies);
  expect((await post(server, "SessionService/DeleteSession", {}, { cookie: second })).cookies).toHaveLength(2);
  expect((await post(server, "UserService/GetUser", { ref: { me: true } }, { cookie: second })).status).toBe(401);
});

test("the address and the user agent that signed in are kept", async () => {
  const server = await startTestServer({ address });
  const { id: projectId } = await server.project();
  const { answer } = await post(
    server,
    "SessionService/CreateSession",
    { projectId, guest: {} },
    { "user-agent": "Test/1.0" },
  );
  expect(answer.grant.session).toMatchObject({ userAgent: "Test/1.0", address: "127.0.0.1" });
});
