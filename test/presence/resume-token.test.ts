import { describe, expect, test } from "vitest";
import { hash48 } from "../../src/presence/hash48.ts";
import { ListDigest, listedBefore } from "../../src/presence/list-digest.ts";
import { readResumeToken, writeResumeToken } from "../../src/presence/resume-token.ts";
import { createRandom } from "../support/random.ts";

const hashes = (...names: (string | number)[]) => names.map((name) => hash48(`${name}`));
const range = (count: number) => Array.from({ length: count }, (_, n) => n);

function digestOf(list: Iterable<number>): Buffer {
  const digest = new ListDigest();
  for (const hash of list) digest.add(hash);
  return digest.toBytes();
}

test("a hash has 48 bits, and 200,000 of what is nearly equal differ", () => {
  const all = new Set(range(200_000).map((n) => hash48(`p/${n}`)));
  expect(all.size).toBe(200_000);
  for (const hash of all) expect(hash < 2 ** 48 && hash >= 0 && Number.isInteger(hash)).toBe(true);
});

describe("what was on a list", () => {
  test("is known exactly while the list is short", () => {
    const before = hashes("a", "b", "c");
    expect(listedBefore(digestOf(before), new Set(hashes("b", "c", "d")))).toEqual(new Set(hashes("b", "c")));
    expect(listedBefore(digestOf([]), new Set(hashes("b")))).toEqual(new Set());
  });

  test("is known exactly of a long list that has not changed, or has one more", () => {
    const before = hashes(...range(10_000));
    expect(listedBefore(digestOf(before), new Set(before)).size).toBe(10_000);
    expect(listedBefore(digestOf(before), new Set([...before, hash48("new")]))).toEqual(new Set(before));
  });

  test("never comes to hold what was not there, however the list grew, shrank and changed, and holds most of what was", () => {
    const random = createRandom(7);
    for (let round = 0; round < 200; round++) {
      const size = 1 + random(120);
      const before = new Set(hashes(...range(size)));
      const digest = new ListDigest();
      for (const hash of before) digest.add(hash);
      for (const hash of [...before].slice(0, random(size))) {
        digest.delete(hash);
        before.delete(hash);
      }
      const gone = random(4);
      const now = new Set([...[...before].slice(gone), ...hashes(...range(random(4)).map((n) => `new ${n}`))]);
      const known = listedBefore(digest.toBytes(), now);
      expect(known.difference(before.intersection(now))).toEqual(new Set());
      const isSame = before.symmetricDifference(now).size === 0;
      expect(known.size).toBeGreaterThanOrEqual(isSame ? before.size : 0);
    }
  });
});

describe("a resume token", () => {
  const point = {
    origin: hash48("here"),
    confirmed: 1_790_000_000_000_001,
    time: 1_790_000_000_000_002,
    list: digestOf(hashes(...range(100))),
    told: new Set(hashes(...range(30))),
  };
  const token = writeResumeToken(point);

  test("is read as it was written, in at most 400 bytes", () => {
    expect(readResumeToken(token)).toEqual(point);
    expect(token.length).toBeLessThanOrEqual(400);
    const small = { ...point, list: digestOf(hashes("a")), told: new Set<number>() };
    expect(readResumeToken(writeResumeToken(small))).toEqual(small);
  });

  test("is none where it was cut off, grew or never was one", () => {
    const random = createRandom(3);
    const cut = range(token.length).map((length) => readResumeToken(token.subarray(0, length)));
    // The states are the last of it: without some of them it is one that tells more.
    expect(cut.filter(Boolean).every((it) => it && it.told.size < 30)).toBe(true);
    expect(cut.slice(0, 23 + 193).every((it) => it === undefined)).toBe(true);
    expect(readResumeToken(Buffer.concat([token, Buffer.of(1)]))).toBeUndefined();
    for (let round = 0; round < 500; round++) {
      const noise = Buffer.from([3 + random(253), ...range(random(300)).map(() => random(256))]);
      expect(readResumeToken(noise)).toBeUndefined();
    }
  });
});
