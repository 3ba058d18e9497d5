import { expect, test } from "vitest";
import type { MusterError } from "../../src/errors.ts";
import { createChain, type Step } from "../../src/presence/chain.ts";
import { type PresenceRecord, presenceAt } from "../../src/presence/effective-presence.ts";

/** The same by brute force: walks one microsecond at a time. */
function naive({ setAt, steps }: PresenceRecord, time: number): { status: string; step: number } {
  let step = 0;
  let left = steps[0]?.ttl;
  for (let now = setAt; now < time; now++) {
    if (left === undefined) break;
    if (--left === 0) left = steps[++step]?.ttl;
    if (step === steps.length) break;
  }
  return { status: steps[step]?.status ?? "offline", step };
}

function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test("what is in force at any moment is what a walk through the chain comes to", () => {
  const next = random(42);
  for (let run = 0; run < 500; run++) {
    const links = Array.from({ length: 1 + next(6) }, (_, index) => ({ status: `s${index}`, ttl: 1 + next(20) }));
    const steps: Step[] = next(2) === 0 ? links : [...links, { status: "forever" }];
    const record = { revision: 7, setAt: 1_000, since: 1_000, steps };
    for (let time = 990; time < 1_140; time++) {
      const { status, step, revision } = presenceAt(record, time, "offline");
      expect({ status, step, revision, run, time }).toEqual({ ...naive(record, time), revision: 7, run, time });
    }
  }
});

test("a link's last moment is not its own", () => {
  const record = { revision: 1, setAt: 100, since: 100, steps: [{ status: "online", ttl: 10 }, { status: "away" }] };
  expect(presenceAt(record, 109, "offline")).toMatchObject({ status: "online", until: 110, nextStatus: "away" });
  expect(presenceAt(record, 110, "offline")).toEqual({ status: "away", since: 110, revision: 1, step: 1 });
});

test("a refreshed presence is in force since it first was", () => {
  const record = { revision: 1, setAt: 100, since: 40, steps: [{ status: "online", ttl: 10 }] };
  expect(presenceAt(record, 105, "offline")).toMatchObject({ status: "online", since: 40, until: 110 });
  expect(presenceAt(record, 110, "asleep")).toEqual({ status: "asleep", since: 110, revision: 1, step: 1 });
});

test("who never set a presence has the default one", () => {
  expect(presenceAt(undefined, 5, "hidden")).toEqual({ status: "hidden", revision: 0, step: 0 });
});

const violation = (steps: Step[]) => {
  try {
    createChain(steps, "presence");
  } catch (error) {
    return (error as MusterError).extra.violations?.[0]?.field;
  }
  return undefined;
};

test("a chain over its limits names the field where it passes them", () => {
  const link = { status: "s", ttl: 10_000 };
  const day = 24 * 3_600 * 1_000_000;
  expect(violation(Array.from({ length: 64 }, () => link))).toBeUndefined();
  expect(violation(Array.from({ length: 65 }, () => link))).toBe(`presence${".expires_to".repeat(64)}`);
  expect(violation([{ status: "a", ttl: 29 * day }, { status: "b", ttl: day }, { status: "c" }])).toBeUndefined();
  expect(
    violation([
      { status: "a", ttl: 29 * day },
      { status: "b", ttl: day + 1 },
    ]),
  ).toBe("presence.expires_to.ttl");
  expect(violation([{ status: "a", metadata: { text: "x".repeat(4_096) } }])).toBe("presence");
  expect(violation([{ status: "a" }, { status: "b" }])).toBe("presence.expires_to");
  expect(violation([{ status: "a", ttl: 0 }])).toBe("presence.ttl");
});
