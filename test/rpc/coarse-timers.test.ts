import { expect, test } from "vitest";
import { createCoarseTimers } from "../../src/rpc/coarse-timers.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const TIME_MS = 1_200;
/** How late a timer may go off. */
const LATE_MS = TIME_MS / 12;

test("a timer goes off once its time has passed, a twelfth of it later at most, unless it was cleared before", async () => {
  const clock = createFakeClock();
  const timers = createCoarseTimers(TIME_MS, clock);
  const gone: string[] = [];
  const waiter = (name: string) => ({ expire: () => void gone.push(name) });
  const first = timers.start(0, waiter("first"));
  const cleared = timers.start(0, waiter("cleared"));
  timers.start(600, waiter("longer"));
  cleared.clear();
  cleared.clear();
  await clock.advance(TIME_MS - 1);
  expect(gone).toEqual([]);
  await clock.advance(LATE_MS + 1);
  expect(gone).toEqual(["first"]);
  first.clear();
  await clock.advance(600);
  expect(gone).toEqual(["first", "longer"]);
  await clock.advance(10 * TIME_MS);
  expect(gone).toHaveLength(2);
});

test("a timer that another one starts or clears when it goes off is started and cleared", async () => {
  const clock = createFakeClock();
  const timers = createCoarseTimers(TIME_MS, clock);
  const gone: string[] = [];
  timers.start(0, {
    expire() {
      gone.push("first");
      second.clear();
      timers.start(0, { expire: () => void gone.push("third") });
    },
  });
  const second = timers.start(0, { expire: () => void gone.push("second") });
  await clock.advance(TIME_MS + LATE_MS);
  expect(gone).toEqual(["first"]);
  await clock.advance(TIME_MS + LATE_MS);
  expect(gone).toEqual(["first", "third"]);
});

test("a key has one timer: the one before is cleared by the next", async () => {
  const clock = createFakeClock();
  const timers = createCoarseTimers(TIME_MS, clock);
  const gone: string[] = [];
  const [key, other] = [{}, {}];
  timers.set(key, 0, () => gone.push("old"));
  await clock.advance(TIME_MS / 2);
  timers.set(key, 0, () => gone.push("new"));
  timers.set(other, 0, () => gone.push("other"));
  timers.clear(other);
  await clock.advance(TIME_MS - 1);
  expect(gone).toEqual([]);
  await clock.advance(LATE_MS + 1);
  expect(gone).toEqual(["new"]);
});
