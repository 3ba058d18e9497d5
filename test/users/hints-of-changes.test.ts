import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { connectionOptions } from "../../src/db/orm.ts";
import { EVENTS_CHANNEL } from "../../src/events/append-event.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startApp } from "../support/start-app.ts";

const { db, project } = await startApp();

/** What makes the servers look into a project's history. */
async function listen(projectId: string) {
  const connection = new pg.Client(connectionOptions(db.address));
  await connection.connect();
  let hints = 0;
  let marks = 0;
  connection.on("notification", ({ payload }) => {
    if (payload === projectId) hints++;
    else if (payload === "mark") marks++;
  });
  await connection.query(`listen "${EVENTS_CHANNEL}"`);
  return {
    /** Hints so far; those that are on their way come before it. */
    async count() {
      const before = marks;
      await connection.query("select pg_notify($1, 'mark')", [EVENTS_CHANNEL]);
      await expect.poll(() => marks, { interval: 5 }).toBe(before + 1);
      return hints;
    },
    [Symbol.asyncDispose]: () => connection.end(),
  };
}

test("who writes a user as it is makes nobody look for a change, who changes it does", async () => {
  const { id, system } = await project();
  const users = system(UserService);
  const ada = { externalId: "ada", user: { name: "Ada", tags: ["a"] } };
  const bob = { externalId: "bob", user: { name: "Bob" } };
  const ref = { ref: { case: "externalId", value: "ada" } } as const;
  await using heard = await listen(id);
  await users.batchUpsertUsers({ users: [ada, bob] });
  await expect.poll(() => heard.count(), { interval: 20 }).toBe(1);

  await users.upsertUser(ada);
  await users.batchUpsertUsers({ users: [ada, bob] });
  await users.batchUpsertUsers({ users: [ada] });
  await users.updateUser({ ref, user: { name: "Ada" }, updateMask: { paths: ["name"] } });
  // A hint goes out 20 ms after the one before at the latest.
  await sleep(100);
  expect(await heard.count()).toBe(1);

  const changes = [
    () => users.upsertUser({ ...ada, user: { name: "Ada L." } }),
    () => users.batchUpsertUsers({ users: [ada, { ...bob, user: { name: "Bob B." } }] }),
    () => users.updateUser({ ref, user: { name: "Countess" }, updateMask: { paths: ["name"] } }),
    () => users.upsertUser({ externalId: "carol" }),
  ];
  for (const [index, change] of changes.entries()) {
    await change();
    await expect.poll(() => heard.count(), { interval: 20 }).toBe(index + 2);
  }
});
