import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { alice, bob, me, NO_ID, told, withUsers } from "./token-fixture.ts";

const app = await startApp();
const { client, clock } = app;

test("what is kept of a token says how long it lives, and never the token", async () => {
  const { tokens } = await withUsers(app);
  const { token, signedToken } = await tokens.issueToken({ ref: alice, ttl: durationFromMs(60_000) });
  await clock.advance(20_500);
  const got = await tokens.getToken({ tokenId: token?.id ?? "" });
  expect(got.token).toMatchObject({ id: token?.id, userId: token?.userId });
  expect(told(got.token)).toEqual({ ...told(token), ttl: 39.5 });
  expect(JSON.stringify(got, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value))).not.toContain(
    signedToken.split(".")[2],
  );
  await clock.advance(59_500);
  expect(told((await tokens.getToken({ tokenId: token?.id ?? "" })).token).ttl).toBe(0);
});

test("a revoked token says so, by itself or with all of its user's, and has no life left", async () => {
  const { tokens } = await withUsers(app);
  const first = (await tokens.issueToken({ ref: alice })).token?.id ?? "";
  const second = (await tokens.issueToken({ ref: alice })).token?.id ?? "";
  const of = async (tokenId: string) => told((await tokens.getToken({ tokenId })).token);
  await tokens.revokeToken({ tokenId: first });
  expect(await of(first)).toMatchObject({ revoked: true, ttl: 0 });
  expect(await of(second)).toMatchObject({ revoked: false, ttl: 86_400 });
  await tokens.revokeUserTokens({ ref: alice });
  expect(await of(second)).toMatchObject({ revoked: true, ttl: 0 });
  const third = (await tokens.issueToken({ ref: alice })).token?.id ?? "";
  expect(await of(third)).toMatchObject({ revoked: false });
});

test("a token that is unknown, no id, stateless or another user's is not found", async () => {
  const { tokens, signedInUser } = await withUsers(app);
  const stateless = await tokens.issueToken({ ref: alice, stateless: true });
  for (const tokenId of [NO_ID, "no id", stateless.token?.id ?? ""])
    expect(await reasonOf(tokens.getToken({ tokenId }))).toBe("TOKEN_NOT_FOUND");
  const bobs = await tokens.issueToken({ ref: bob });
  const byAlice = client(TokenService, (await signedInUser("alice")).token);
  expect(await reasonOf(byAlice.getToken({ tokenId: bobs.token?.id ?? "" }))).toBe("TOKEN_NOT_FOUND");
  const own = await tokens.issueToken({ ref: alice });
  expect((await byAlice.getToken({ tokenId: own.token?.id ?? "" })).token?.id).toBe(own.token?.id);
});

test("a user's tokens are listed page by page, newest first, each once though others come", async () => {
  const { tokens } = await withUsers(app);
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.unshift((await tokens.issueToken({ ref: alice })).token?.id ?? "");
  await tokens.issueToken({ ref: alice, stateless: true });
  await tokens.issueToken({ ref: bob });
  const seen: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await tokens.listTokens({ ref: alice, pageSize: 2, pageToken });
    seen.push(...page.tokens.map(({ id }) => id));
    await tokens.issueToken({ ref: alice });
    pageToken = page.nextPageToken;
    if (!pageToken) break;
  }
  expect(seen).toEqual(ids);
  expect((await tokens.listTokens({ ref: alice })).tokens).toHaveLength(8);
});

test("a user lists its own tokens and nobody else's", async () => {
  const { tokens, signedInUser } = await withUsers(app);
  const self = await signedInUser("alice");
  await tokens.issueToken({ ref: bob });
  const byAlice = client(TokenService, self.token);
  const { tokens: own } = await byAlice.listTokens({ ref: me });
  expect(own.map(({ userId }) => userId)).toEqual([self.id]);
  expect(await reasonOf(byAlice.listTokens({ ref: bob }))).toBe("PRINCIPAL_NOT_ALLOWED");
});

test("a page token is good for the list it was given for", async () => {
  const { tokens, users } = await withUsers(app);
  for (let n = 0; n < 2; n++) await tokens.issueToken({ ref: alice });
  const { nextPageToken: pageToken } = await tokens.listTokens({ ref: alice, pageSize: 1 });
  const refused = await refusalOf(tokens.listTokens({ ref: bob, pageSize: 1, pageToken }));
  expect(refused).toMatchObject({ reason: "REQUEST_INVALID", fields: ["page_token"] });
  const { user } = await users.upsertUser({ externalId: "carol" });
  const carol = { ref: { case: "id", value: user?.id ?? "" } } as const;
  await users.deleteUser({ ref: carol });
  expect(await reasonOf(tokens.listTokens({ ref: carol }))).toBe("USER_DELETED");
  expect(await reasonOf(tokens.listTokens({ ref: { ref: { case: "id", value: NO_ID } } }))).toBe("USER_NOT_FOUND");
});
