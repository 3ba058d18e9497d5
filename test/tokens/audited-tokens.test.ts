import { fromJson } from "@bufbuild/protobuf";
import { durationFromMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { SigningKeyRotatedEventSchema, TokenRevokedEventSchema } from "../../src/gen/muster/v1/event_pb.ts";
import { SigningAlgorithm } from "../../src/gen/muster/v1/project_pb.ts";
import { RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { tokenJobs } from "../../src/tokens/token-jobs.ts";
import { auditEntries } from "../support/audit-entries.ts";
import { issueTo } from "../support/logout-server.ts";
import { plainRequest } from "../support/plain-request.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import { withUsers } from "./token-fixture.ts";

const app = await startApp({ config: { trustedProxies: ["127.0.0.1"] } });
const { db, clock } = app;
const HOUR_MS = 3_600_000;
const alice = { ref: { case: "externalId", value: "alice" } } as const;

/** What a project's events of a type say, in the order they were written. */
const dataOf = async ({ id }: TestProject, type: string) =>
  (await settledEvents(db, id)).filter((event) => event.type === type).map(({ data }) => data as never);
const revoked = async (project: TestProject) =>
  (await dataOf(project, "token.revoked")).map((data) => fromJson(TokenRevokedEventSchema, data));

test("who revokes a token that has not ended is told of by one token.revoked, however often it is revoked", async () => {
  const project = await withUsers(app);
  const tokens = project.system(TokenService);
  const { token } = await tokens.issueToken({ ref: alice });
  const { token: short } = await tokens.issueToken({ ref: alice, ttl: { seconds: 1n } });
  await clock.advance(2_000);
  for (const tokenId of [token?.id, token?.id, short?.id]) await tokens.revokeToken({ tokenId: tokenId ?? "" });
  const told = { tokenId: token?.id, userId: token?.userId, externalId: "alice" };
  const events = await revoked(project);
  expect(events).toMatchObject([told]);
  expect(events[0]?.beforeTime).toBeUndefined();
});

test("when all of a user's tokens are revoked, token.revoked says up to when", async () => {
  const project = await withUsers(app);
  const tokens = project.system(TokenService);
  const { token } = await tokens.issueToken({ ref: alice });
  await tokens.revokeUserTokens({ ref: alice });
  const [event] = await revoked(project);
  expect(event).toMatchObject({ tokenId: "", userId: token?.userId, externalId: "alice" });
  const before = event?.beforeTime ? timestampDate(event.beforeTime) : new Date(0);
  const { rows } = await db.pool.query("select tokens_valid_from from users where id = $1", [token?.userId]);
  expect(before).toEqual(new Date(rows[0].tokens_valid_from));
  expect(before.getTime()).toBeGreaterThan(clock.now() - 1_000);
});

test("who follows a logout link is its user, wherever the request comes from", async () => {
  const project = await withUsers(app);
  const { logoutUrl, tokenId } = await issueTo(project);
  const route = app.app.httpRoutes.find(({ method, path }) => method === "POST" && path.test("/logout"));
  const form = new URL(logoutUrl).searchParams;
  const headers = { "x-forwarded-for": "198.51.100.7" };
  const press = () => route?.handle({ ...plainRequest("/logout", ["/logout"]), method: "POST", form, headers });
  const { userId } = (await project.system(TokenService).getToken({ tokenId })).token ?? {};
  await press();
  await press();
  const entries = (await auditEntries(db, project.id)).filter(({ method }) => method === "link/logout");
  expect(entries).toMatchObject([
    { actorKind: "user", actorId: userId, address: "198.51.100.7", userId, target: `token/${tokenId}` },
  ]);
  expect(await revoked(project)).toMatchObject([{ tokenId, userId, externalId: "alice" }]);
});

test("signing_key.rotated says which key is to sign from when on, and which were revoked for it", async () => {
  const project = await app.project();
  const tokens = project.system(TokenService);
  const keys = async () => (await tokens.listSigningKeys({})).keys.map(({ id }) => id);
  const [first] = await keys();
  const { key: next } = await tokens.rotateSigningKey({ mode: RotationMode.GRACEFUL });
  await tokens.rotateSigningKey({ mode: RotationMode.GRACEFUL });
  const { key: only } = await tokens.rotateSigningKey({ mode: RotationMode.REVOKE_ALL });
  const told = (await dataOf(project, "signing_key.rotated")).map((data) =>
    fromJson(SigningKeyRotatedEventSchema, data),
  );
  const algorithm = SigningAlgorithm.ED25519;
  expect(told).toMatchObject([
    { keyId: next?.id, algorithm, activateTime: next?.activateTime, revokedKeyIds: [] },
    { keyId: only?.id, algorithm, activateTime: only?.activateTime, revokedKeyIds: [first, next?.id] },
  ]);
});

test("the job that removes a key that is gone says so, as the server", async () => {
  const project = await app.project({ tokenTtlMax: durationFromMs(HOUR_MS), tokenTtl: durationFromMs(HOUR_MS) });
  const tokens = project.system(TokenService);
  const [first] = (await tokens.listSigningKeys({})).keys;
  await tokens.rotateSigningKey({ mode: RotationMode.GRACEFUL });
  await clock.advance(3 * HOUR_MS);
  await tokenJobs({ db, clock })
    .find(({ name }) => name === "gone-signing-keys")
    ?.run(new AbortController().signal);
  const entries = (await auditEntries(db, project.id)).filter(({ actorKind }) => actorKind === "server");
  expect(entries).toMatchObject([
    { method: "job/gone-signing-keys", actorId: null, target: `signing_key/${first?.id}`, details: { removed: true } },
  ]);
});
