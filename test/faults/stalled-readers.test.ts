import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import { expect, onTestFinished, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { makeUsers } from "../presence/presence-fixture.ts";
import { collectedMemory } from "../support/collected-memory.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { LightWatch, openAll } from "../support/light-watch.ts";
import { startTestServer } from "../support/start-test-server.ts";

const db = await testDatabase();
const STALLED = 200;
const READING = 20;
const USERS = 50;
/** After the first ones all that lies between the server and those readers is full. */
const ROUNDS = { filling: 12, after: 24 };
const MIB = 2 ** 20;
const PATIENCE = { timeout: 40_000, interval: 20 };

/** Sets everybody's presence again and again, each time waiting for those who read. Gives how many bytes the others did not take. */
async function setRounds(
  client: Client<typeof PresenceService>,
  users: readonly string[],
  reading: readonly LightWatch[],
  rounds: number,
): Promise<number> {
  const message = "x".repeat(250);
  for (let round = 1; round <= rounds; round++) {
    const status = `round ${round} of ${rounds}`;
    const set = (value: string) =>
      client.setPresence({ ref: { ref: { case: "id", value } }, presence: { status, message } });
    await Promise.all(users.map(set));
    const isBehind = (watch: LightWatch) => users.some((user) => watch.statusOf(user) !== status);
    await expect.poll(() => reading.filter(isBehind).length, PATIENCE).toBe(0);
  }
  return rounds * STALLED * users.length * message.length;
}

test("200 readers that accept nothing hold up nobody, cost little, and are let go after a minute", async () => {
  const clock = createFakeClock();
  const server = await startTestServer({ address: db.address, clock });
  const project = await server.project();
  const users = await makeUsers(db, project.id, USERS);
  const client = server.client(PresenceService, project.accessKey);
  const stalled = Array.from({ length: STALLED }, () => new LightWatch(users));
  const reading = Array.from({ length: READING }, () => new LightWatch(users));
  const sessions = [
    ...(await openAll(server.url, project.accessKey, stalled)),
    ...(await openAll(server.url, project.accessKey, reading)),
  ];
  onTestFinished(() => sessions.forEach((session) => session.destroy()));
  const all = [...stalled, ...reading];
  await expect.poll(() => all.filter(({ isLive }) => !isLive).length, PATIENCE).toBe(0);
  for (const { stream } of stalled) stream?.pause();
  await setRounds(client, users, reading, ROUNDS.filling);
  const before = collectedMemory();
  const nobodyRead = await setRounds(client, users, reading, ROUNDS.after);
  expect(nobodyRead).toBeGreaterThan(50 * MIB);
  expect(collectedMemory() - before).toBeLessThan(20 * MIB);

  const streams = async () => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(/^muster_streams (\d+)$/m.exec(text)?.[1]);
  };
  expect(await streams()).toBe(STALLED + READING);
  for (let passed = 0; passed < 66; passed += 6) {
    await clock.advance(6_000);
    // Connections answer whether they are there in their own time.
    await sleep(50);
  }
  await expect.poll(streams, PATIENCE).toBe(READING);
  for (const { stream } of stalled) stream?.resume();
  await expect.poll(() => stalled.filter(({ isOpen }) => isOpen).length, PATIENCE).toBe(0);
  expect(reading.filter(({ isOpen, stepsBack }) => !isOpen || stepsBack > 0)).toEqual([]);
}, 120_000);
