import { expect, test } from "vitest";
import { testDatabaseAddress } from "../support/database.ts";
import { settingsFor } from "../support/muster-process.ts";
import { proveGroup, startServerGroup, untilTold } from "./server-group.ts";

const settings = settingsFor(await testDatabaseAddress());

test("what is set on one of three servers is read on all of them, and told to the watchers of each", async () => {
  expect(await proveGroup(await startServerGroup(3, settings))).toEqual([]);
});

test("a server that is killed takes nothing along: what was set there stands, and the other one tells of it", async () => {
  const group = await startServerGroup(2, settings);
  const id = await group.user();
  await group.set(id, "online", 0);
  const [there, here] = [await group.watch([id], 0), await group.watch([id], 1)];
  group.servers[0]?.process.kill("SIGKILL");
  await expect(there.next()).rejects.toThrow();
  expect(await group.get(id, 1)).toBe("online");
  await group.set(id, "away", 1);
  expect(await untilTold(here, id, "away")).toEqual(["away"]);
});
