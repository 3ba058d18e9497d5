import { describe, expect, test } from "vitest";
import { ErrorReason } from "../../src/gen/muster/v1/error_reason_pb.ts";
import { RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { alice, bob, claimsOf, me, NO_ID, outcomeOf, withUsers } from "./token-fixture.ts";

const here = await startApp();
const { client, clock, db } = here;
const there = await startApp({ db, clock, config: { encryptionKeys: here.config.encryptionKeys } });
const SERVERS = [here, there];

const outcomesOf = (token: string) => Promise.all(SERVERS.map((server) => outcomeOf(server, token)));
const REVOKED = ["TOKEN_REVOKED", "TOKEN_REVOKED"];
const ANSWERED = ["answered", "answered"];
const PATIENCE = { timeout: 15_000, interval: 5 };
const nobody = { ref: { case: "id", value: NO_ID } } as const;

test("a revoked token is refused at once by the server that revoked it, by every other within a second, and no other token is", async () => {
  const { tokens } = await withUsers(here);
  const [first, second] = [await tokens.issueToken({ ref: alice }), await tokens.issueToken({ ref: alice })];
  expect(await outcomesOf(first.signedToken)).toEqual(ANSWERED);
  await tokens.revokeToken({ tokenId: first.token?.id ?? "" });
  expect(await outcomeOf(here, first.signedToken)).toBe("TOKEN_REVOKED");
  await clock.advance(1_000);
  expect(await outcomesOf(first.signedToken)).toEqual(REVOKED);
  expect(await outcomesOf(second.signedToken)).toEqual(ANSWERED);
  const answer = await tokens.verifyToken({ token: first.signedToken });
  expect(answer).toMatchObject({ active: false, reason: ErrorReason.TOKEN_REVOKED });
});

test("a token that is unknown, no id, revoked, stateless or another user's is revoked by name only", async () => {
  const { tokens, signedInUser } = await withUsers(here);
  const stateless = await tokens.issueToken({ ref: alice, stateless: true });
  const { token } = await tokens.issueToken({ ref: alice });
  for (const tokenId of [NO_ID, "no id", stateless.token?.id ?? "", token?.id ?? "", token?.id ?? ""])
    expect(await tokens.revokeToken({ tokenId })).toMatchObject({});
  expect(await outcomesOf(stateless.signedToken)).toEqual(ANSWERED);
  const bobs = await tokens.issueToken({ ref: bob });
  const self = await signedInUser("alice");
  await client(TokenService, self.token).revokeToken({ tokenId: bobs.token?.id ?? "" });
  expect(await outcomesOf(bobs.signedToken)).toEqual(ANSWERED);
});

test("revoked tokens are none of the live ones of their key, however they were revoked", async () => {
  const { tokens } = await withUsers(here);
  const live = async () => (await tokens.listSigningKeys({})).keys.map(({ liveTokens }) => Number(liveTokens));
  const { token } = await tokens.issueToken({ ref: alice });
  for (const ref of [alice, bob]) await tokens.issueToken({ ref });
  expect(await live()).toEqual([3]);
  await tokens.revokeToken({ tokenId: token?.id ?? "" });
  expect(await live()).toEqual([2]);
  await tokens.revokeUserTokens({ ref: alice });
  expect(await live()).toEqual([1]);
});

test("a user revokes its own token, and the one it calls with", async () => {
  const { signedInUser } = await withUsers(here);
  const [one, other] = [await signedInUser("alice"), await signedInUser("alice")];
  const byAlice = client(TokenService, one.token);
  await byAlice.revokeToken({ tokenId: String(claimsOf(other.token)["jti"]) });
  expect(await outcomesOf(other.token)).toEqual(REVOKED);
  await byAlice.revokeToken({ tokenId: String(claimsOf(one.token)["jti"]) });
  expect(await outcomesOf(one.token)).toEqual(REVOKED);
});

describe("to revoke all of a user's tokens", () => {
  test("ends stored and stateless ones, and what is issued in the same second is good at once", async () => {
    const { tokens, signedInUser } = await withUsers(here);
    const bobs = await signedInUser("bob");
    const issue = async (stateless: boolean) => (await tokens.issueToken({ ref: alice, stateless })).signedToken;
    const old = [await issue(true), await issue(false)];
    await tokens.revokeUserTokens({ ref: alice });
    for (const token of old) expect(await outcomesOf(token)).toEqual(REVOKED);
    const fresh = [await issue(true), await issue(false)];
    for (const token of fresh) expect(await outcomesOf(token)).toEqual(ANSWERED);
    expect(await outcomesOf(bobs.token)).toEqual(ANSWERED);
    // All of it in one second, to the clock.
    await tokens.revokeUserTokens({ ref: alice });
    for (const token of fresh) await expect.poll(() => outcomesOf(token), PATIENCE).toEqual(REVOKED);
    expect(await outcomesOf(await issue(true))).toEqual(ANSWERED);
  });

  test("is answered for a user that is not there, and refused to others", async () => {
    const { tokens, signedInUser } = await withUsers(here);
    expect(await tokens.revokeUserTokens({ ref: nobody })).toMatchObject({});
    const self = await signedInUser("alice");
    const byAlice = client(TokenService, self.token);
    for (const ref of [bob, nobody])
      expect(await reasonOf(byAlice.revokeUserTokens({ ref }))).toBe("PRINCIPAL_NOT_ALLOWED");
    await byAlice.revokeUserTokens({ ref: me });
    expect(await outcomesOf(self.token)).toEqual(REVOKED);
  });
});

describe("nothing comes of an old credential", () => {
  test("where a thousand extensions race with the revocation of all", async () => {
    const { tokens } = await withUsers(here);
    const issued = await Promise.all(Array.from({ length: 20 }, () => tokens.issueToken({ ref: alice })));
    const extend = (n: number) => {
      const { token, signedToken } = issued[n % issued.length] ?? {};
      // By the user itself, on either server.
      const caller = (SERVERS[n % 2] ?? here).client(TokenService, signedToken);
      return caller.extendToken({ tokenId: token?.id ?? "" }).catch(() => undefined);
    };
    // As many at a time as keep both servers busy: all at once, most would wait for connections.
    const lanes = Array.from({ length: 40 }, async (_, lane) => {
      const answers = [];
      for (let n = lane; n < 1_000; n += 40) answers.push(await extend(n));
      return answers;
    });
    const revoking = extend(0).then(() => tokens.revokeUserTokens({ ref: alice }));
    const [extended] = await Promise.all([Promise.all(lanes), revoking]);
    const made = extended.flat().flatMap((answer) => (answer ? [answer.signedToken] : []));
    const outcomes = new Set<string>();
    for (const token of made) outcomes.add(await outcomeOf(here, token));
    expect([...outcomes]).toEqual(["TOKEN_REVOKED"]);
  });

  test("where an extension waits for the user's row that the revocation of all holds", async () => {
    const { id, tokens } = await withUsers(here);
    const { token } = await tokens.issueToken({ ref: alice });
    const held = await db.pool.connect();
    await held.query("begin");
    await held.query("select from users where project_id = $1 and external_id = 'alice' for no key update", [id]);
    const extending = reasonOf(tokens.extendToken({ tokenId: token?.id ?? "" }));
    const waits = "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    await expect.poll(async () => (await db.pool.query(waits)).rowCount, { timeout: 15_000, interval: 5 }).toBe(1);
    await held.query("update users set tokens_valid_from = $2 where project_id = $1 and external_id = 'alice'", [
      id,
      new Date(clock.now() + 1_000),
    ]);
    await held.query("commit");
    held.release();
    expect(await extending).toBe("TOKEN_REVOKED");
  });

  test("where one token is revoked and extended at once", async () => {
    const { tokens } = await withUsers(here);
    const outcomes: string[] = [];
    for (let round = 0; round < 20; round++) {
      const { token, signedToken } = await tokens.issueToken({ ref: alice });
      const tokenId = token?.id ?? "";
      const extending = Array.from({ length: 5 }, () => tokens.extendToken({ tokenId }).catch(() => undefined));
      const [extended] = await Promise.all([Promise.all(extending), tokens.revokeToken({ tokenId })]);
      for (const answer of extended) outcomes.push(await outcomeOf(here, answer?.signedToken ?? signedToken));
    }
    expect([...new Set(outcomes)]).toEqual(["TOKEN_REVOKED"]);
  });

  test("where the project's keys are revoked and a token is extended at once", async () => {
    const { tokens, accessKey } = await withUsers(here);
    const outcomes: string[] = [];
    for (let round = 0; round < 10; round++) {
      const { token } = await tokens.issueToken({ ref: alice });
      const tokenId = token?.id ?? "";
      const extend = (n: number) => (SERVERS[n % 2] ?? here).client(TokenService, accessKey).extendToken({ tokenId });
      const extending = Array.from({ length: 6 }, (_, n) => extend(n).catch(() => undefined));
      const rotating = tokens.rotateSigningKey({ mode: RotationMode.REVOKE_ALL });
      const [extended] = await Promise.all([Promise.all(extending), rotating]);
      for (const answer of extended) if (answer) outcomes.push(await outcomeOf(here, answer.signedToken));
      outcomes.push(await reasonOf(tokens.extendToken({ tokenId })));
      expect((await tokens.getToken({ tokenId })).token).toMatchObject({ revoked: true });
    }
    expect(new Set(outcomes)).toEqual(new Set(["TOKEN_INVALID", "TOKEN_REVOKED"]));
  });
});
