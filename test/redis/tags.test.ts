import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { channelOf, recordKey, slotOf, subjectOf, TAGS, tagOf } from "../../src/presence/redis/tags.ts";
import { startRedis } from "./support/redis-server.ts";

const redis = await startRedis("--cluster-enabled", "yes");
afterAll(() => redis[Symbol.asyncDispose]());

test("a tag's keys and its channel are in the slot that Redis says", async () => {
  const subject = { projectId: randomUUID(), userId: randomUUID() };
  for (let tag = 0; tag < TAGS; tag += 31) {
    const slots = await Promise.all(
      [channelOf(tag), recordKey(tag, subject)].map((key) => redis.send("CLUSTER", "KEYSLOT", key)),
    );
    expect(slots).toEqual([slotOf(tag), slotOf(tag)]);
  }
  expect(subjectOf(recordKey(5, subject))).toEqual(subject);
  expect(subjectOf("muster:{5}:other")).toBeUndefined();
});

test("tags are spread evenly over slots, and users over tags", () => {
  const thirds = [0, 0, 0];
  for (let tag = 0; tag < TAGS; tag++) (thirds[Math.floor((slotOf(tag) * 3) / 16_384)] as number) += 1;
  expect(Math.min(...thirds)).toBeGreaterThan(TAGS / 4);
  const users = Array.from({ length: TAGS * 50 }, (_, n) => `019a-${String(n).padStart(12, "0")}`);
  const counts = new Map<number, number>();
  for (const userId of users) {
    const tag = tagOf({ projectId: "p", userId });
    counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  expect(counts.size).toBe(TAGS);
  expect(Math.max(...counts.values())).toBeLessThan(150);
});
