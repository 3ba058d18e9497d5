import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BEHAVIOURS } from "./behaviours.ts";
import { CARRIERS, draftOf, requestOf, UPSERT_USER } from "./carriers.ts";
import { type Pair, startPair } from "./compare.ts";
import { testVariants } from "./test-variants.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair[Symbol.asyncDispose]());

const names = Object.keys(BEHAVIOURS).filter((name) => !name.startsWith("gives up"));

describe.for(CARRIERS)("$name: with and without the fast path", (carrier) => {
  test.for(names)("a service that %s is answered the same", async (name) => {
    const before = pair.taken;
    const answer = await pair.same(requestOf(draftOf(carrier, name)));
    expect(answer.status).toBeGreaterThan(0);
    expect(pair.taken - before).toBe(1);
  });

  testVariants(carrier, () => pair);
});

describe.for(CARRIERS.filter(({ contentType }) => contentType))("$name: with and without the fast path", (carrier) => {
  test("a call that changes something is answered the same", async () => {
    for (const name of ["answers", "sets headers and trailers", "fails by a reason"])
      expect((await pair.same(requestOf(draftOf(carrier, name, UPSERT_USER)))).status).toBeGreaterThan(0);
  });
});
