import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BEHAVIOURS } from "./behaviours.ts";
import { draftOf, headerFor, requestOf, STREAM_CARRIERS } from "./carriers.ts";
import { type Pair, startPair } from "./compare.ts";
import { STREAM_BEHAVIOURS, waits } from "./stream-behaviours.ts";
import { USER_TOKEN } from "./twin-servers.ts";
import { VARIANTS } from "./variants.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair[Symbol.asyncDispose]());

const names = [...Object.keys(STREAM_BEHAVIOURS), ...Object.keys(BEHAVIOURS)].filter((name) => !waits(name));
const lateOnes = [...Object.keys(STREAM_BEHAVIOURS), ...Object.keys(BEHAVIOURS)].filter((name) => / late/.test(name));

describe.for(STREAM_CARRIERS)("$name: with and without the fast path", (carrier) => {
  test.for(names)("a service that %s is answered the same", async (name) => {
    const before = pair.taken;
    const answer = await pair.same(requestOf(draftOf(carrier, name)));
    expect(answer.status).toBe(200);
    expect(pair.taken - before).toBe(1);
  });

  test.for(names)("a service that %s is answered the same to a user that takes gzip", async (name) => {
    const draft = draftOf(carrier, name);
    const more = { authorization: `Bearer ${USER_TOKEN}`, [headerFor(carrier, "accept")]: "gzip" };
    const answer = await pair.same(requestOf({ ...draft, headers: { ...draft.headers, ...more } }));
    expect(answer.status).toBe(200);
  });

  test.for(lateOnes)("a service that %s is answered the same within a deadline", async (name) => {
    const draft = draftOf(carrier, name);
    const header = headerFor(carrier, "timeout");
    const headers = { ...draft.headers, [header]: header === "grpc-timeout" ? "30m" : "30" };
    const answer = await pair.same(requestOf({ ...draft, headers }));
    expect(answer.status).toBe(200);
  });

  const cases = VARIANTS.filter((variant) => variant.draft(carrier));
  test.for(cases)("a request with $name is answered the same", async ({ draft, falls }) => {
    const made = draft(carrier);
    if (!made) return;
    const before = pair.taken;
    const answer = await pair.same(requestOf(made));
    expect(answer.status).toBeGreaterThan(0);
    expect(pair.taken - before).toBe(falls?.(carrier) ? 0 : 1);
  });
});
