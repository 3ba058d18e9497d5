import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { createLogger } from "../../src/logger.ts";
import { nameKey } from "../../src/users/user-key.ts";
import { emptyDatabaseAddress } from "../support/database.ts";

const options = { poolSize: 2, statementTimeoutMs: 30_000 };
const db = await openDatabase(await emptyDatabaseAddress(), ENTITIES, options, createLogger("silent"));
afterAll(() => db[Symbol.asyncDispose]());

const NAMES = ["Alice", "Straße", "ΟΔΟΣ", "ﬁnn", "Ａｄａ", "a ? b", "\u3300".repeat(255), "'; --", "李雷 🎈"];

test("the users of a release before get the name they are found by, as the server itself makes it", async () => {
  await db.orm.migrator.up({ to: "2026-11-21-05-presence" });
  await db.pool.query(`insert into projects (id, display_name, settings, create_time, update_time)
    select gen_random_uuid(), 'p', '{}', now(), now() from generate_series(1, 2)`);
  // More than are folded at a time.
  await db.pool.query(
    `insert into users (project_id, id, external_id, name, create_time, update_time)
     select p.id, gen_random_uuid(), n::text, case when n % 4 <> 0 then ($1::text[])[n % $2 + 1] end, now(), now()
     from projects p, generate_series(1, 4000) n`,
    [NAMES, NAMES.length],
  );
  await db.orm.migrator.up();
  const { rows } = await db.pool.query<{ name: string | null; name_key: string | null }>(
    "select name, name_key from users",
  );
  expect(rows).toHaveLength(8_000);
  expect(new Set(rows.map(({ name }) => name)).size).toBe(NAMES.length + 1);
  expect(rows.filter(({ name, name_key }) => name_key !== (name && nameKey(name)))).toEqual([]);
});
