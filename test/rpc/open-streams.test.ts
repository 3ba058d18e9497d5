import { createContextValues } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { MusterError } from "../../src/errors.ts";
import { CALLER, type Caller } from "../../src/rpc/caller.ts";
import { createStreamRegistry } from "../../src/rpc/open-streams.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const DAY_MS = 86_400_000;

/** A registry at a time of its own, and the streams of its callers. */
function registry() {
  const clock = createFakeClock();
  const streams = createStreamRegistry(clock);
  const user = (userId: string, livesMs = DAY_MS): Caller => ({
    kind: "user",
    projectId: "p",
    userId,
    tokenId: "t",
    sessionId: undefined,
    keyId: undefined,
    issuedAt: clock.now(),
    expiresAt: clock.now() + livesMs,
  });
  const open = (caller: Caller) => streams.open({ values: createContextValues().set(CALLER, caller) });
  return { clock, streams, user, open };
}

/** The users whose access is over; the check of the app asks for more. */
const guardAgainst = (gone: readonly string[]) => (caller: Caller) =>
  caller.kind === "user" && gone.includes(caller.userId) ? new MusterError("TOKEN_REVOKED") : undefined;

test("a stream ends when the caller's credential does, and not a moment before, even a month away", async () => {
  const { clock, user, open } = registry();
  const stream = open(user("alice", 40 * DAY_MS));
  await clock.advance(40 * DAY_MS - 1);
  expect(stream.signal.aborted).toBe(false);
  await clock.advance(1);
  expect(stream.signal.reason).toMatchObject({ reason: "TOKEN_EXPIRED" });
});

test("the streams of whoever's access has ended end, and nobody else's", () => {
  const { streams, user, open } = registry();
  const gone: string[] = [];
  streams.guard(guardAgainst(gone));
  const [alice, again, bob] = [open(user("alice")), open(user("alice")), open(user("bob"))];
  const service = open({ kind: "system", projectId: "p", accessKeyId: "k" });
  gone.push("alice");
  streams.recheck();
  for (const { signal } of [alice, again]) expect(signal.reason).toMatchObject({ reason: "TOKEN_REVOKED" });
  expect([bob.signal.aborted, service.signal.aborted]).toEqual([false, false]);
  expect(streams.size).toBe(2);
});

test("a stream of a call that was let in before its access ended is over when it opens", () => {
  const { streams, user, open } = registry();
  streams.guard(guardAgainst(["alice"]));
  expect(open(user("alice")).signal.reason).toMatchObject({ reason: "TOKEN_REVOKED" });
  expect(streams.size).toBe(0);
});

test("a stream that is over leaves nothing behind", () => {
  const { clock, streams, user, open } = registry();
  const stream = open(user("alice"));
  stream[Symbol.dispose]();
  streams.endAll(new MusterError("SHUTTING_DOWN"));
  expect([streams.size, clock.pending, stream.signal.aborted]).toEqual([0, 0, false]);
});
