import { expect, test } from "vitest";
import { Mailbox } from "../../src/presence/mailbox.ts";
import { createFakeClock } from "../support/fake-clock.ts";

test("a bell that rings while nobody waits ends the next wait at once, and only that one", async () => {
  const clock = createFakeClock();
  const mailbox = new Mailbox(clock);
  mailbox.ring();
  await mailbox.wait(20_000);
  let woken = false;
  const waiting = mailbox.wait(20_000).then(() => {
    woken = true;
  });
  await clock.advance(19_999);
  expect(woken).toBe(false);
  await clock.advance(1);
  await waiting;
});
