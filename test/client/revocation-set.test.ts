import { expect, test } from "vitest";
import { RevocationSet, type RevokedSubject, type TokenStanding } from "../../src/client/revocation-set.ts";

const TOKEN: TokenStanding = { tokenId: "t", sessionId: "s", userId: "u", keyId: "k", issuedAt: 5_000 };
const LATER = 1_000_000;

const setOf = (...subjects: RevokedSubject[]) => {
  const set = new RevocationSet();
  for (const subject of subjects) set.add(subject, LATER);
  return set;
};

test.each<[string, RevokedSubject, boolean]>([
  ["its token id", { tokenId: "t" }, true],
  ["its session", { sessionId: "s" }, true],
  ["its key", { keyId: "k" }, true],
  ["its user, later than it was issued", { userId: "u", beforeTime: 5_001 }, true],
  ["its user, at the moment it was issued", { userId: "u", beforeTime: 5_000 }, false],
  ["another token", { tokenId: "t2" }, false],
  ["another session", { sessionId: "s2" }, false],
  ["another key", { keyId: "k2" }, false],
  ["another user", { userId: "u2", beforeTime: LATER }, false],
])("a revocation of %s: covered is %3$s", (_, subject, covered) => {
  expect(setOf(subject).covers(TOKEN)).toBe(covered);
});

test("the order in which revocations of a user come does not matter", () => {
  const [early, late] = [
    { userId: "u", beforeTime: 1_000 },
    { userId: "u", beforeTime: 9_000 },
  ];
  expect(setOf(early, late).covers(TOKEN)).toBe(true);
  expect(setOf(late, early).covers(TOKEN)).toBe(true);
});

test("a token outside of any session is not covered by what ended of sessions", () => {
  expect(setOf({ sessionId: "s" }).covers({ ...TOKEN, sessionId: undefined })).toBe(false);
});

test("a revocation is kept until it may be forgotten and not longer", () => {
  const set = new RevocationSet();
  set.add({ tokenId: "t" }, 100_000);
  set.add({ userId: "u", beforeTime: 9_000 }, 100_000);
  set.sweep(100_000);
  expect(set.size).toBe(2);
  expect(set.covers(TOKEN)).toBe(true);
  set.sweep(200_000);
  expect(set.size).toBe(0);
});

test("one that comes again with a later end is kept until that", () => {
  const set = new RevocationSet();
  set.add({ tokenId: "t" }, 300_000);
  set.add({ tokenId: "t" }, 100_000);
  set.sweep(200_000);
  expect(set.covers(TOKEN)).toBe(true);
});
