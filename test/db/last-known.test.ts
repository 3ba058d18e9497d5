import { describe, expect, test } from "vitest";
import { createLastKnown } from "../../src/db/last-known.ts";
import { MusterError } from "../../src/errors.ts";
import { createFakeClock } from "../support/fake-clock.ts";

type Answer = { resolve(value: string | undefined): void; reject(error: unknown): void };

function world(maxEntries = 10) {
  const clock = createFakeClock();
  const looks: (Answer & { key: string; last: string | undefined })[] = [];
  const cache = createLastKnown<string>({
    clock,
    maxAgeMs: 500,
    maxAwayMs: 60_000,
    patienceMs: 1_000,
    maxEntries,
    load: (key, last) => {
      const { promise, ...answer } = Promise.withResolvers<string | undefined>();
      looks.push({ key, last, ...answer });
      return promise;
    },
  });
  const learn = async (key: string, value: string | undefined) => {
    const got = cache.get(key);
    looks.at(-1)?.resolve(value);
    return got;
  };
  return { clock, looks, cache, learn };
}

const away = () => new MusterError("STORAGE_UNAVAILABLE");

describe("what was last known", () => {
  test("is given without a look while it is fresh, and looked for anew after", async () => {
    const { clock, looks, cache, learn } = world();
    expect(await learn("k", "one")).toBe("one");
    await clock.advance(499);
    expect(await cache.get("k")).toBe("one");
    expect(looks).toHaveLength(1);
    await clock.advance(1);
    expect(await learn("k", "two")).toBe("two");
    expect(looks[1]?.last).toBe("one");
  });

  test("ages from the start of the look that found it", async () => {
    const { clock, looks, cache } = world();
    const slow = cache.get("k");
    await clock.advance(400);
    looks[0]?.resolve("one");
    await slow;
    await clock.advance(100);
    void cache.get("k");
    expect(looks).toHaveLength(2);
  });

  test("is forgotten when a look finds nothing", async () => {
    const { clock, looks, cache, learn } = world();
    await learn("k", "one");
    await clock.advance(500);
    expect(await learn("k", undefined)).toBeUndefined();
    void cache.get("k");
    expect(looks).toHaveLength(3);
  });

  test("is given while the database is away, with a look every half second, until it is too old", async () => {
    const { clock, looks, cache, learn } = world();
    await learn("k", "one");
    await clock.advance(500);
    const got = cache.get("k");
    looks[1]?.reject(away());
    expect(await got).toBe("one");
    await clock.advance(499);
    expect(await cache.get("k")).toBe("one");
    expect(looks).toHaveLength(2);
    await clock.advance(60_000);
    const late = cache.get("k");
    looks[2]?.reject(away());
    await expect(late).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  });

  test("does not hide another failure", async () => {
    const { clock, looks, cache, learn } = world();
    await learn("k", "one");
    await clock.advance(500);
    const got = cache.get("k");
    looks[1]?.reject(new Error("a fault"));
    await expect(got).rejects.toThrow("a fault");
  });

  test("is given after a second of a look that does not come back, and at once to those who come later", async () => {
    const { clock, looks, cache, learn } = world();
    await learn("k", "one");
    await clock.advance(500);
    const first = cache.get("k");
    await clock.advance(1_000);
    expect(await first).toBe("one");
    expect(await cache.get("k")).toBe("one");
    expect(looks).toHaveLength(2);
    looks[1]?.resolve("two");
    await clock.advance(0);
    expect(clock.pending).toBe(0);
  });

  test("is looked for by another look when one is lost for good", async () => {
    const { clock, looks, cache, learn } = world();
    await learn("k", "one");
    await clock.advance(500);
    void cache.get("k");
    await clock.advance(10_000);
    expect(await learn("k", "three")).toBe("three");
    looks[1]?.resolve("two, far too late");
    await clock.advance(0);
    expect(await cache.get("k")).toBe("three");
  });

  test("is read anew on demand, by a look that starts after the demand", async () => {
    const { looks, cache } = world();
    const first = cache.get("k");
    const reloads = [cache.reload("k"), cache.reload("k")];
    looks[0]?.resolve("one");
    expect(await first).toBe("one");
    await Promise.resolve();
    await expect.poll(() => looks.length).toBe(2);
    looks[1]?.resolve("two");
    expect(await Promise.all(reloads)).toEqual(["two", "two"]);
    expect(await cache.get("k")).toBe("two");
    expect(looks).toHaveLength(2);
  });

  test("makes room: the one longest unread goes first", async () => {
    const { looks, cache, learn } = world(2);
    for (const key of ["a", "b", "c"]) await learn(key, key);
    expect(await cache.get("b")).toBe("b");
    expect(await cache.get("c")).toBe("c");
    void cache.get("a");
    expect(looks.map(({ key }) => key)).toEqual(["a", "b", "c", "a"]);
  });
});
