import { timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { RevocationCause } from "../../src/gen/muster/v1/revocation_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { RevocationReader } from "../support/revocation-reader.ts";
import { startApp } from "../support/start-app.ts";
import { testWatch } from "../support/watch-behaviour.ts";
import { alice, bob, claimsOf, withUsers } from "../tokens/token-fixture.ts";

const here = await startApp();
const { client, clock, db } = here;
const there = await startApp({ db, clock, config: { encryptionKeys: here.config.encryptionKeys } });
const DAY_MS = 86_400_000;
const LEEWAY_MS = 120_000;

/** A project, and how to revoke tokens of alice in it. */
async function project() {
  const its = await withUsers(here);
  const read = async (resumeToken?: Uint8Array, app = here) => {
    const reader = new RevocationReader(app.client(TokenService, its.accessKey), resumeToken);
    await reader.until("snapshotComplete");
    return reader;
  };
  const revokeOne = async () => {
    const tokenId = (await its.tokens.issueToken({ ref: alice })).token?.id ?? "";
    await its.tokens.revokeToken({ tokenId });
    return tokenId;
  };
  return { ...its, read, revokeOne };
}

test("a reader is told of what has ended, that this was all, and then of what ends, on whichever server", async () => {
  const { read, revokeOne } = await project();
  const before = [await revokeOne(), await revokeOne()];
  const readers = [await read(), await read(undefined, there)];
  for (const reader of readers) {
    expect(reader.kinds).toEqual(["revocation", "revocation", "snapshotComplete"]);
    expect(reader.subjects).toEqual(before);
    expect(reader.messages.map(({ resumeToken }) => resumeToken.length > 0)).toEqual([false, false, true]);
  }
  const after = [await revokeOne(), await revokeOne()];
  for (const reader of readers) {
    await reader.until("revocation", 4);
    expect(reader.subjects).toEqual([...before, ...after]);
    reader.leave();
    expect(await reader.ended).toBe("left");
  }
});

test("a revocation says what ended, why, and until when that is worth knowing", async () => {
  const { tokens, users, read } = await project();
  const reader = await read();
  const { token } = await tokens.issueToken({ ref: alice });
  await tokens.revokeToken({ tokenId: token?.id ?? "" });
  const revokedAt = clock.now();
  await tokens.revokeUserTokens({ ref: alice });
  const stateless = await tokens.issueToken({ ref: bob, stateless: true });
  await users.suspendUser({ ref: bob, suspension: { blocksSignIn: true } });
  const { user } = await users.getUser({ ref: bob });
  await users.deleteUser({ ref: bob });
  await reader.until("revocation", 4);
  const [one, all, suspended, deleted] = reader.revocations;
  expect(one).toMatchObject({ subject: { case: "tokenId", value: token?.id }, cause: RevocationCause.TOKEN_REVOKED });
  const end = (of: typeof one) => of?.forgetAfterTime && timestampMs(of.forgetAfterTime);
  expect(end(one)).toBe((token?.expireTime ? timestampMs(token.expireTime) : 0) + LEEWAY_MS);
  const before = (of: typeof one) =>
    of?.subject.case === "user" && of.subject.value.beforeTime ? timestampMs(of.subject.value.beforeTime) : 0;
  expect(all).toMatchObject({
    subject: { value: { userId: token?.userId } },
    cause: RevocationCause.USER_TOKENS_REVOKED,
  });
  expect(before(all)).toBe(Math.floor(revokedAt / 1_000) * 1_000 + 1_000);
  expect(end(all)).toBe(before(all) + 30 * DAY_MS + LEEWAY_MS);
  expect(suspended).toMatchObject({ subject: { value: { userId: user?.id } }, cause: RevocationCause.USER_SUSPENDED });
  expect(before(suspended) / 1_000).toBeGreaterThan(Number(claimsOf(stateless.signedToken)["iat"]));
  expect(deleted).toMatchObject({ subject: { value: { userId: user?.id } }, cause: RevocationCause.USER_DELETED });
  reader.leave();
});

describe("a reader that comes back", () => {
  test("is told of what has ended since, once, from each message on", async () => {
    const { read, revokeOne } = await project();
    const first = await read();
    const ids = [await revokeOne(), await revokeOne()];
    await first.until("revocation", 2);
    const tokens = first.messages.slice(-3).map(({ resumeToken }) => resumeToken);
    first.leave();
    ids.push(await revokeOne());
    for (const [index, token] of tokens.entries()) {
      const second = await read(token, there);
      expect(second.subjects).toEqual(ids.slice(index));
      second.leave();
    }
  });

  test("in the middle of its first snapshot begins it again", async () => {
    const { read, revokeOne } = await project();
    const ids = [await revokeOne(), await revokeOne()];
    const first = await read();
    const second = await read(first.messages[0]?.resumeToken);
    expect(second.subjects).toEqual(ids);
    for (const reader of [first, second]) reader.leave();
  });

  test("with a token that is none, or another project's, is told all of this project, and nothing of that one", async () => {
    const [mine, theirs] = [await project(), await project()];
    const id = await mine.revokeOne();
    await theirs.revokeOne();
    const other = await theirs.read();
    for (const token of [other.resumeToken, Buffer.from("no token"), Buffer.alloc(100, 0xff)]) {
      const reader = await mine.read(token);
      expect(reader.subjects).toEqual([id]);
      reader.leave();
    }
    other.leave();
  });

  test("after what has been forgotten is told the rest", async () => {
    const { tokens, read } = await project();
    const first = await read();
    const { token: short } = await tokens.issueToken({ ref: alice, ttl: { seconds: 60n } });
    const old = short?.id ?? "";
    await tokens.revokeToken({ tokenId: old });
    await first.until("revocation");
    expect(first.subjects).toEqual([old]);
    first.leave();
    await clock.advance(60_000 + LEEWAY_MS);
    const recent = (await tokens.issueToken({ ref: alice })).token?.id ?? "";
    await tokens.revokeToken({ tokenId: recent });
    for (const token of [undefined, first.messages[0]?.resumeToken]) {
      const reader = await read(token);
      expect(reader.subjects).toEqual([recent]);
      reader.leave();
    }
  });
});

test("more than a page of revocations comes whole, in the snapshot as well as live", async () => {
  const { id, read } = await project();
  const many = (count: number) =>
    db.pool.query(
      `insert into revocations (project_id, token_id, cause, forget_after_time, create_time)
       select $1, gen_random_uuid(), 'TOKEN_REVOKED', $2, now() from generate_series(1, $3)`,
      [id, new Date(clock.now() + DAY_MS), count],
    );
  await many(1_201);
  const reader = await read();
  expect(new Set(reader.subjects).size).toBe(1_201);
  await many(1_201);
  await clock.advance(500);
  await reader.until("revocation", 2_402);
  expect(new Set(reader.subjects).size).toBe(2_402);
  reader.leave();
});

testWatch({
  app: here,
  heartbeatMs: 5_000,
  itemKind: "revocation",
  contentOf: ({ event }) => event.value,
  watch: (credential) => client(TokenService, credential).watchRevocations({}),
  async open() {
    const its = await project();
    return { project: its, reader: await its.read(), write: its.revokeOne };
  },
});
