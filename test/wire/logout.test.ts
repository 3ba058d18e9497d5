import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { ErrorReason } from "../../src/gen/muster/v1/error_reason_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { alice, follow, issueTo, me, press, send, startLogoutServer } from "../support/logout-server.ts";
import { reasonOf } from "../support/refusal.ts";
import { OPERATOR_KEY } from "../support/start-app.ts";
import { openWatch } from "../support/watch.ts";

const db = await testDatabase();
const server = await startLogoutServer(db.address);
// Another server of the same deployment.
const other = await startLogoutServer(db.address, { publicUrl: server.url });
const SERVERS = [server, other];

/** A project with alice on its roll. */
async function withAlice() {
  const project = await server.project();
  await project.system(UserService).upsertUser({ externalId: "alice" });
  return project;
}

const outcomeOn = (at: typeof server, token: string): Promise<string> => {
  const call = at.client(UserService, token).getUser({ ref: me });
  return call.then(
    () => "answered",
    () => reasonOf(call),
  );
};
const outcomes = (token: string) => Promise.all(SERVERS.map((at) => outcomeOn(at, token)));
const ANSWERED = ["answered", "answered"];
const REVOKED = ["TOKEN_REVOKED", "TOKEN_REVOKED"];

/** A server that did not end it goes by what it knew for up to a second. */
async function endsSoon(token: string) {
  await expect.poll(() => outcomes(token), { timeout: 15_000, interval: 5 }).toEqual(REVOKED);
}

const revocationsOf = async (tokenId: string) =>
  (await db.pool.query("select cause, forget_after_time from revocations where token_id = $1", [tokenId])).rows;

test("a link shows a page with one button and no script, and changes nothing by being looked at", async () => {
  const project = await withAlice();
  const { logoutUrl, signedToken, tokenId } = await issueTo(project);
  expect(logoutUrl.startsWith(`${server.url}/logout?token=mlo_`)).toBe(true);
  const page = await follow(logoutUrl);
  expect([page.status, page.title]).toEqual([200, "Sign out?"]);
  for (const [only, tag] of [
    [1, "<form"],
    [1, "<button"],
    [1, "<style"],
    [0, "<script"],
    [0, "<link"],
    [0, "<img"],
  ] as const)
    expect(page.body.split(tag).length - 1, tag).toBe(only);
  expect(page.body).not.toMatch(/\s(on\w+|style|src|href)=|https?:/);
  const style = createHash("sha256")
    .update(/<style>(.*)<\/style>/s.exec(page.body)?.[1] ?? "")
    .digest("base64");
  expect(Object.fromEntries(page.headers)).toMatchObject({
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src 'sha256-${style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  });
  const head = await follow(logoutUrl, {}, "HEAD");
  expect([head.status, head.body]).toEqual([200, ""]);
  expect(await outcomes(signedToken)).toEqual(ANSWERED);
  expect(await revocationsOf(tokenId)).toEqual([]);
});

test.for([false, true])(
  "the button ends the token on every server, its streams too (stateless: %s)",
  async (stateless) => {
    const project = await withAlice();
    const { logoutUrl, signedToken, tokenId, userId } = await issueTo(project, { stateless });
    const kept = await issueTo(project, { stateless });
    const watches = await Promise.all(SERVERS.map((at) => openWatch(at.transport("gRPC", signedToken), [userId])));
    const ends = Promise.all(watches.map(({ next }) => reasonOf(next())));
    expect((await press(logoutUrl)).title).toBe("You are signed out");
    await endsSoon(signedToken);
    expect(await ends).toEqual(REVOKED);
    expect(await outcomes(kept.signedToken)).toEqual(ANSWERED);
    const tokens = project.system(TokenService);
    const verdict = await tokens.verifyToken({ token: signedToken });
    expect(verdict).toMatchObject({ active: false, reason: ErrorReason.TOKEN_REVOKED });
    expect(await reasonOf(tokens.extendToken({ tokenId }))).toBe("TOKEN_REVOKED");
    expect(await revocationsOf(tokenId)).toMatchObject([{ cause: "SIGNED_OUT" }]);
  },
);

test.for([false, true])("of twenty who press at once, one signs out (stateless: %s)", async (stateless) => {
  const { logoutUrl, signedToken, tokenId } = await issueTo(await withAlice(), { stateless });
  const pressed = Array.from({ length: 20 }, (_, index) => press(logoutUrl, {}, SERVERS[index % 2]?.url));
  const titles = (await Promise.all(pressed)).map(({ title }) => title).sort();
  expect(titles).toEqual(["You are signed out", ...Array<string>(19).fill("You were signed out already")]);
  expect(await revocationsOf(tokenId)).toHaveLength(1);
  expect((await press(logoutUrl)).title).toBe("You were signed out already");
  await endsSoon(signedToken);
  expect(await revocationsOf(tokenId)).toHaveLength(1);
});

test("with one_click_logout following the link is enough, for a person", async () => {
  const project = await withAlice();
  await server.allowOneClick(project.id);
  const { logoutUrl, signedToken } = await issueTo(project);
  const byNobody = [
    { "sec-purpose": "prefetch" },
    { "sec-purpose": "prefetch;prerender" },
    { purpose: "prefetch" },
    { "x-purpose": "preview" },
    { "x-moz": "prefetch" },
    { "sec-fetch-dest": "image" },
    { "sec-fetch-dest": "iframe" },
  ];
  for (const headers of byNobody) expect((await follow(logoutUrl, headers)).title).toBe("Sign out?");
  await follow(logoutUrl, {}, "HEAD");
  expect(await outcomes(signedToken)).toEqual(ANSWERED);
  expect((await follow(logoutUrl, { "sec-fetch-dest": "document" })).title).toBe("You are signed out");
  await endsSoon(signedToken);
  expect((await follow(logoutUrl)).title).toBe("You were signed out already");
});

test("a link of before signs an extended token out, to its new end", async () => {
  const project = await withAlice();
  const first = await issueTo(project, { ttl: { seconds: 3_600n } });
  const tokens = project.system(TokenService);
  const extended = await tokens.extendToken({ tokenId: first.tokenId, ttl: { seconds: 7_200n } });
  expect(extended.logoutUrl).not.toBe(first.logoutUrl);
  expect((await press(first.logoutUrl)).title).toBe("You are signed out");
  await endsSoon(extended.signedToken);
  const [revocation] = await revocationsOf(first.tokenId);
  expect(new Date(revocation.forget_after_time).getTime()).toBeGreaterThan(
    Number(extended.token?.expireTime?.seconds) * 1_000,
  );
  expect((await press(extended.logoutUrl)).title).toBe("You were signed out already");
});

test("a link ends nothing of another project, of another user or of the same one", async () => {
  const [mine, theirs] = [await withAlice(), await withAlice()];
  const bob = await mine.signedInUser("bob");
  const [first, second, foreign] = [await issueTo(mine), await issueTo(mine), await issueTo(theirs)];
  expect((await press(foreign.logoutUrl)).title).toBe("You are signed out");
  for (const token of [first.signedToken, second.signedToken, bob.token])
    expect(await outcomes(token)).toEqual(ANSWERED);
  expect((await press(first.logoutUrl)).title).toBe("You are signed out");
  for (const token of [second.signedToken, bob.token]) expect(await outcomes(token)).toEqual(ANSWERED);
});

test("what is no link's token is refused as one that is not valid, and a link's token is no credential", async () => {
  const project = await withAlice();
  const { logoutUrl, signedToken } = await issueTo(project);
  const guest = { projectId: project.id, credential: { case: "guest", value: {} } } as const;
  const { grant } = await server.client(SessionService).createSession(guest);
  const token = new URL(logoutUrl).searchParams.get("token") ?? "";
  const others = [signedToken, grant?.sessionToken, grant?.refreshToken, grant?.accessToken, project.accessKey, ""];
  const queries = [...others.map((it) => `token=${it}`), `token=${token}&token=${token}`, `token=${token}x`, "", "t=1"];
  for (const query of queries)
    for (const page of [await follow(`${server.url}/logout?${query}`), await send(server.url, query)])
      expect([page.status, page.title]).toEqual([400, "This link is not valid"]);
  expect(await outcomes(signedToken)).toEqual(ANSWERED);
  expect(await outcomes(token)).toEqual(["CREDENTIAL_INVALID", "CREDENTIAL_INVALID"]);
  const verdict = await project.system(TokenService).verifyToken({ token });
  expect(verdict).toMatchObject({ active: false, reason: ErrorReason.TOKEN_INVALID });
  const refreshed = server.client(TokenService).refreshToken({ projectId: project.id, refreshToken: token });
  expect(await reasonOf(refreshed)).toBe("TOKEN_INVALID");
});

test("of a user or project that is gone nothing is left to end, and nothing is kept", async () => {
  const project = await withAlice();
  const { logoutUrl, tokenId } = await issueTo(project, { stateless: true });
  await project.system(UserService).deleteUser({ ref: alice });
  expect((await press(logoutUrl)).title).toBe("You were signed out already");
  await server.client(ProjectService, OPERATOR_KEY).deleteProject({ projectId: project.id });
  await expect.poll(async () => (await press(logoutUrl)).status, { timeout: 5_000 }).toBe(410);
  expect(await revocationsOf(tokenId)).toEqual([]);
  expect((await db.pool.query("select from tokens where id = $1", [tokenId])).rowCount).toBe(0);
});

test("the session cookie is taken back where it holds that token, and no other cookie", async () => {
  const project = await withAlice();
  const { logoutUrl, signedToken } = await issueTo(project);
  const another = await issueTo(project);
  const cookie = `a=b; __Host-muster-session=${signedToken}; __Host-muster-refresh=x`;
  expect((await press(another.logoutUrl, { cookie })).headers.getSetCookie()).toEqual([]);
  const pressed = await press(logoutUrl, { cookie });
  expect(pressed.headers.getSetCookie()).toEqual([
    "__Host-muster-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
  ]);
  expect((await press(logoutUrl, { cookie: "__Host-muster-session=mst_x" })).headers.getSetCookie()).toEqual([]);
});

test("the form is taken from the server's own page and those of the project's origins, and from no other", async () => {
  const project = await withAlice();
  const listed = "https://app.example";
  await server
    .client(ProjectService, OPERATOR_KEY)
    .updateProject({ projectId: project.id, settings: { corsOrigins: [listed] } });
  const { logoutUrl, signedToken } = await issueTo(project);
  const refused = [
    { origin: "https://evil.example", "sec-fetch-site": "cross-site" },
    { origin: "https://evil.example" },
    { origin: "null", "sec-fetch-site": "cross-site" },
    { origin: "null", "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "cross-site" },
  ];
  for (const headers of refused)
    await expect
      .poll(async () => (await press(logoutUrl, headers as Record<string, string>)).status, { timeout: 5_000 })
      .toBe(403);
  expect(await outcomes(signedToken)).toEqual(ANSWERED);
  const taken = [
    { origin: "null", "sec-fetch-site": "same-origin" },
    { origin: "null" },
    { origin: server.url },
    { origin: listed, "sec-fetch-site": "cross-site" },
  ];
  for (const headers of taken) {
    const { logoutUrl: link } = await issueTo(project);
    const pressed = await press(link, headers as Record<string, string>);
    expect([pressed.status, pressed.title]).toEqual([200, "You are signed out"]);
  }
});
