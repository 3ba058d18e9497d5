import { expect, test } from "vitest";
import { createProgress } from "../../src/cli/bulk/progress.ts";
import { createFakeClock } from "../support/fake-clock.ts";

function screen(isTTY: boolean) {
  const written: string[] = [];
  return { written, isTTY, columns: 60, write: (text: string) => written.push(text) };
}

test("on a terminal a bar with share, rows, rate and time left is drawn over itself, and cleared at the end", async () => {
  const clock = createFakeClock();
  const terminal = screen(true);
  const progress = createProgress(terminal, clock, "rows");
  progress.update(0, 0);
  await clock.advance(2_000);
  terminal.written.length = 0;
  progress.update(10_000, 0.25);
  progress.update(10_001, 0.25);
  await clock.advance(100);
  expect(terminal.written).toEqual(["\r\x1b[K[######..................] 25 %  10,001 rows  4,762/s  0:06"]);
  progress.say("a line\n");
  progress[Symbol.dispose]();
  progress[Symbol.dispose]();
  expect(terminal.written.slice(1)).toEqual(["\r\x1b[Ka line\n", "\r\x1b[K"]);
});

test("elsewhere it is a line every ten seconds, without a share where nobody knows the whole", async () => {
  const clock = createFakeClock();
  const file = screen(false);
  const progress = createProgress(file, clock, "users");
  progress.update(0);
  await clock.advance(9_000);
  progress.update(45_000);
  await clock.advance(1_000);
  progress.update(50_000);
  await clock.advance(9_999);
  progress[Symbol.dispose]();
  expect(file.written).toEqual(["45,000 users  4,500/s\n"]);
});

test("what an earlier run did counts for the share, and not for the rate", async () => {
  const clock = createFakeClock();
  const file = screen(false);
  const progress = createProgress(file, clock, "rows");
  progress.update(1_000, 0.5);
  await clock.advance(8_000);
  progress.update(1_500, 0.75);
  await clock.advance(2_000);
  expect(file.written).toEqual(["75 %  1,500 rows  50/s  0:10 left\n"]);
});
