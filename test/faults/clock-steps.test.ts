import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { type Clock, systemClock } from "../../src/clock.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { makeUsers } from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { startTestServer } from "../support/start-test-server.ts";
import { openWatch } from "../support/watch.ts";

const db = await testDatabase();
const STEP_MS = 300_000;

/** The machine's clock, as a process sees it whose operator sets it. */
function createSteppedClock(): Clock & { step(ms: number): void } {
  let offset = 0;
  const step = (ms: number) => {
    offset += ms;
  };
  return { ...systemClock, now: () => systemClock.now() + offset, step };
}

test.each([
  ["forward", STEP_MS],
  ["back", -STEP_MS],
])("links run out neither early nor late on a server whose clock is set %s by five minutes", async (_, ms) => {
  const clock = createSteppedClock();
  const server = await startTestServer({ address: db.address, clock });
  const project = await server.project();
  const [user = "", later = ""] = await makeUsers(db, project.id, 2);
  const left = new AbortController();
  onTestFinished(() => left.abort());
  const watch = await openWatch(server.transport("gRPC", project.accessKey), [user, later], left.signal);
  const client = server.client(PresenceService, project.accessKey);
  const end = { status: "over" };
  const set = (value: string, seconds: number) =>
    client.setPresence({
      ref: { ref: { case: "id", value } },
      presence: { status: "on", ttl: { seconds: BigInt(seconds) }, expiresTo: end },
    });
  const { presence } = await set(user, 2);
  expect(await watch.next()).toMatchObject({ case: "update", value: { presences: [{ userId: user, status: "on" }] } });
  clock.step(ms);
  // What is set by the stepped clock lasts as long as any other.
  await set(later, 600);
  expect(await watch.next()).toMatchObject({ case: "update", value: { presences: [{ userId: later, status: "on" }] } });
  const told = await watch.next();
  expect(told).toMatchObject({ case: "update", value: { presences: [{ userId: user, status: "over" }] } });
  if (told.case !== "update") return;
  // By the clock of the store, which nobody has set.
  expect(told.value.presences[0]?.sinceTime).toEqual(presence?.untilTime);
  clock.step(-2 * ms);
  await sleep(1_000);
  const { presences } = await client.batchGetPresence({ refs: [{ ref: { case: "id", value: later } }] });
  expect(presences).toMatchObject([{ status: "on" }]);
});
