import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandom, type Random } from "../../support/random.ts";
import { BEHAVIOURS } from "./behaviours.ts";
import { CARRIERS, type Carrier, type Draft, draftOf, headerFor, requestOf, STREAM_CARRIERS } from "./carriers.ts";
import { type Pair, startPair } from "./compare.ts";
import { STREAM_BEHAVIOURS, waits } from "./stream-behaviours.ts";

let pair: Pair;
beforeAll(async () => {
  pair = await startPair();
});
afterAll(() => pair[Symbol.asyncDispose]());

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
const CALLS = 60;

/** What headers of the protocols may hold, right and wrong. */
const VALUES = {
  timeout: ["1H", "10S", "99999999H", "0m", "1", "3600000", "", " 5S", "1S ", "-1", "5 S", "٣S", "0x10", "1e3"],
  encoding: ["gzip", "identity", "br", "", "GZIP", "gzip, gzip", " gzip"],
  accept: ["gzip", "identity", "br", "", "GZIP", "gzip,br", "br,gzip", ",,gzip", "*"],
} as const;

const pick = <T>(random: Random, list: readonly T[]): T => list[random(list.length)] as T;

/** A few bytes that are changed, left out, doubled or put in, as a broken client or a hostile one would. */
function damaged(random: Random, bytes: Uint8Array): Uint8Array {
  let all = [...bytes];
  for (let times = random(3); times > 0; times--) {
    const at = random(all.length + 1);
    const change = random(5);
    if (change === 0) all[at] = random(256);
    if (change === 1) all = all.slice(0, at);
    if (change === 2) all.splice(at, 0, random(256), random(256));
    if (change === 3) all.splice(at, 1 + random(3));
    if (change === 4) all = [...all, ...all.slice(at)];
  }
  return Uint8Array.from(all.map((byte) => byte ?? 0));
}

function someDraft(random: Random, carriers: readonly Carrier[]): Draft {
  const carrier = pick(random, carriers);
  const streamed = carrier.isStream ? Object.keys(STREAM_BEHAVIOURS) : [];
  const behaviours = [...Object.keys(BEHAVIOURS), ...streamed].filter((name) => !waits(name));
  const draft = draftOf(carrier, pick(random, behaviours));
  const headers: Record<string, string> = { ...draft.headers };
  for (const what of ["timeout", "encoding", "accept"] as const)
    if (random(4) === 0) headers[headerFor(carrier, what)] = pick(random, VALUES[what]);
  const changed = { ...draft, headers, flags: random(8) === 0 ? random(256) : 0 };
  if (random(2) === 0 || !carrier.contentType) return { ...changed, message: damaged(random, draft.message) };
  return { ...changed, body: damaged(random, requestOf(changed).body ?? new Uint8Array()) };
}

const KINDS = { calls: CARRIERS, streams: STREAM_CARRIERS };
const cases = SEEDS.flatMap((seed) => (["calls", "streams"] as const).map((kind) => ({ kind, seed })));

test.for(cases)("damaged $kind are answered the same with and without the fast path, seed $seed", async (one) => {
  const random = createRandom(one.seed);
  const before = pair.taken;
  for (let call = 0; call < CALLS; call++) {
    const draft = someDraft(random, KINDS[one.kind]);
    const answer = await pair.same(requestOf(draft));
    expect(answer.status).toBeGreaterThan(0);
  }
  expect(pair.taken - before).toBe(CALLS);
});
