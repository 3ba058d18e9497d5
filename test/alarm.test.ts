import { expect, test } from "vitest";
import { Alarm } from "../src/alarm.ts";
import { createFakeClock } from "./support/fake-clock.ts";

function ringing() {
  const clock = createFakeClock();
  const rung: number[] = [];
  return { clock, rung, alarm: new Alarm(clock, () => rung.push(clock.monotonic())) };
}

test("an alarm rings once, at the moment set last, whether that is earlier or later", async () => {
  const { clock, rung, alarm } = ringing();
  alarm.set(100);
  alarm.set(200);
  await clock.advance(50);
  alarm.set(150);
  await clock.advance(1_000);
  expect(rung).toEqual([150]);
  alarm.set(1_100);
  alarm.set(1_300);
  await clock.advance(1_000);
  expect(rung).toEqual([150, 1_300]);
});

test("an alarm that is put off a thousand times has one timer", async () => {
  const { clock, rung, alarm } = ringing();
  for (let ms = 0; ms < 1_000; ms++) {
    alarm.set(clock.monotonic() + 60_000);
    await clock.advance(1);
    expect(clock.pending).toBe(1);
  }
  expect(rung).toEqual([]);
  await clock.advance(60_000);
  expect(rung).toEqual([60_999]);
});

test("a moment that has passed is now", async () => {
  const { clock, rung, alarm } = ringing();
  await clock.advance(10);
  alarm.set(5);
  alarm.set(Number.NEGATIVE_INFINITY);
  await clock.advance(0);
  expect(rung).toEqual([10]);
});

test("an alarm that is disposed of never rings, unless it is set again", async () => {
  const { clock, rung, alarm } = ringing();
  alarm.set(100);
  alarm[Symbol.dispose]();
  expect(clock.pending).toBe(0);
  await clock.advance(1_000);
  alarm.set(1_500);
  await clock.advance(1_000);
  expect(rung).toEqual([1_500]);
});
