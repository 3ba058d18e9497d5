import { expect, test } from "vitest";
import {
  LONGEST_WAIT_MS,
  nextAttempt,
  RETRY_FOR_MS,
  readRetryAfter,
} from "../../src/webhooks/deliveries/retry-schedule.ts";

const START = Date.UTC(2026, 0, 1);

/** The times at which a delivery that always fails is attempted, in milliseconds after the first attempt. */
function attemptsWith(random: () => number): number[] {
  const times = [0];
  for (;;) {
    const last = times.at(-1) as number;
    const next = nextAttempt({ nowMs: START + last, firstAttemptMs: START, attempts: times.length, random: random() });
    if (next === undefined) return times;
    times.push(next - START);
  }
}

test("waits grow from seconds to a day, and the last attempt is made three days after the first", () => {
  const longest = attemptsWith(() => 0.999_999_999);
  const waits = longest.slice(1).map((time, i) => Math.round((time - (longest[i] ?? 0)) / 1_000));
  expect(waits).toEqual([5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 259_200 - 185_705]);
  expect(longest.at(-1)).toBe(RETRY_FOR_MS);
});

test("a wait is anywhere between nothing and its bound, and still the three days are kept", () => {
  for (let n = 0; n < 200; n++) {
    const times = attemptsWith(Math.random);
    expect(times.at(-1)).toBe(RETRY_FOR_MS);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  }
  const firsts = Array.from({ length: 200 }, () => attemptsWith(Math.random)[1] ?? 0);
  expect(Math.min(...firsts)).toBeLessThan(1_000);
  expect(Math.max(...firsts)).toBeGreaterThan(4_000);
});

test("what the receiver asks for is kept, up to a day", () => {
  const failed = { nowMs: START, firstAttemptMs: START, attempts: 1, random: 0.5 };
  expect(nextAttempt({ ...failed, retryAfterMs: 120_000 })).toBe(START + 120_000);
  expect(nextAttempt({ ...failed, retryAfterMs: 1 })).toBe(START + 2_500);
  expect(nextAttempt({ ...failed, retryAfterMs: 30 * 86_400_000 })).toBe(START + LONGEST_WAIT_MS);
});

test("Retry-After is read in seconds and as a date", () => {
  expect(readRetryAfter("120", START)).toBe(120_000);
  expect(readRetryAfter("Thu, 01 Jan 2026 00:01:00 GMT", START)).toBe(60_000);
  expect(readRetryAfter("Wed, 31 Dec 2025 00:00:00 GMT", START)).toBe(0);
  for (const nonsense of ["", "soon", "-1", "1.5", "2026", "1e9999"].filter((text) => text !== "2026"))
    expect(readRetryAfter(nonsense, START), nonsense).toBeUndefined();
  expect(readRetryAfter(undefined, START)).toBeUndefined();
});
