import { expect, test } from "vitest";
import { createFakeClock } from "./fake-clock.ts";

test("actions run in order of time, and one that sets off another within the span sees it run too", async () => {
  const clock = createFakeClock(1_000);
  const ran: [string, number][] = [];
  const note = (name: string) => ran.push([name, clock.now()]);
  clock.schedule(30, () => note("late"));
  clock.schedule(10, () => {
    note("early");
    void Promise.resolve().then(() => clock.schedule(5, () => note("between")));
  });
  clock.schedule(20, () => note("never"))[Symbol.dispose]();
  await clock.advance(30);
  expect(ran).toEqual([
    ["early", 1_010],
    ["between", 1_015],
    ["late", 1_030],
  ]);
  expect(clock.pending).toBe(0);
});

test("setting the wall clock moves no deadline", async () => {
  const clock = createFakeClock();
  const before = clock.monotonic();
  let due = false;
  clock.schedule(1_000, () => {
    due = true;
  });
  clock.step(60_000);
  await clock.advance(999);
  expect(due).toBe(false);
  expect(clock.monotonic() - before).toBe(999);
});
