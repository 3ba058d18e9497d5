import { expect, test } from "vitest";
import type { ActFacts } from "../../src/db/act.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { PROFILE_COLUMNS } from "../../src/users/profile.ts";
import { INSERT_USERS, UPSERT_USERS } from "../../src/users/upsert-statements.ts";
import { startApp } from "../support/start-app.ts";

const { db, project } = await startApp();

const HASH = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const ACT = JSON.stringify({ method: "UserService/BatchUpsertUsers", actor_kind: "system" } satisfies ActFacts);
const ROLL = 3_000;
const BATCH = 100;

interface Plan {
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly Plans?: readonly Plan[];
}

/** Rows that a plan and what is below it have read from tables. */
const rowsRead = (plan: Plan): number =>
  (plan["Relation Name"] && !plan.Plans ? plan["Actual Rows"] * plan["Actual Loops"] : 0) +
  (plan.Plans ?? []).reduce((sum, inner) => sum + rowsRead(inner), 0);

test("a batch reads as many users as it names, however few the statistics take the project to have", async () => {
  const { id, system } = await project();
  for (let first = 0; first < ROLL; first += 1_000)
    await system(UserService).batchUpsertUsers({
      users: Array.from({ length: 1_000 }, (_, i) => ({ externalId: `u${first + i}`, passwordHash: HASH })),
    });
  const records = Array.from({ length: BATCH }, (_, i) => ({
    ...Object.fromEntries(PROFILE_COLUMNS.map(({ name, value }) => [name, value({})])),
    ...{ id: crypto.randomUUID(), event_id: crypto.randomUUID(), external_id: `u${i * 40}`, password_hash: HASH },
  }));
  const json = JSON.stringify(records);
  const client = await db.pool.connect();
  try {
    await client.query("begin");
    // As a table that has grown since it was last analyzed.
    await client.query("update pg_class set reltuples = 10, relpages = 1 where relname in ('users', 'passwords')");
    for (const { text, values } of [
      { text: UPSERT_USERS.withPasswords.text, values: [id, 0, new Date(0), json, [], "{}", new Date(0), ACT] },
      { text: INSERT_USERS.withPasswords.text, values: [id, new Date(0), json, ACT] },
    ]) {
      const { rows } = await client.query(`explain (analyze, format json) ${text}`, values);
      expect(rowsRead(rows[0]["QUERY PLAN"][0].Plan)).toBeLessThanOrEqual(5 * BATCH);
    }
  } finally {
    await client.query("rollback");
    client.release();
  }
});
