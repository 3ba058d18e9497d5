import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { createLogger } from "../../src/logger.ts";
import { skeletonOf } from "../../src/skeleton.ts";
import { emptyDatabaseAddress } from "../support/database.ts";

const options = { poolSize: 2, statementTimeoutMs: 30_000 };
const db = await openDatabase(await emptyDatabaseAddress(), ENTITIES, options, createLogger("silent"));
afterAll(() => db[Symbol.asyncDispose]());

/** In the order of their arrival. */
const LOGINS = ["сосо", "coco", "c0co", "Alice", "AIice", "a ? b", "'; --", "אב1", "1אב", "\ufdfa".repeat(70)];

test("the users of a release before get their skeletons, the first of those who look alike", async () => {
  await db.orm.migrator.up({ to: "2026-11-22-07-retrieval-indexes" });
  await db.pool.query(`insert into projects (id, display_name, settings, create_time, update_time)
    select gen_random_uuid(), 'p', '{}', now(), now() from generate_series(1, 2)`);
  // More than are folded at a time. Ids say nothing about who came first.
  await db.pool.query(
    `insert into users (project_id, id, external_id, login, login_key, create_time, update_time)
     select p.id, gen_random_uuid(), n::text, login, lower(login), '2026-01-01'::timestamptz + make_interval(secs => n), now()
     from projects p, generate_series(1, 4000) n,
       lateral (select coalesce(($1::text[])[n], case when n % 2 = 0 then 'user ' || n end) as login) it`,
    [LOGINS],
  );
  await db.orm.migrator.up();
  const { rows } = await db.pool.query<{ n: number; login: string | null; login_skeleton: string | null }>(
    "select external_id::int as n, login, login_skeleton from users order by project_id, n",
  );
  expect(rows).toHaveLength(8_000);
  const alike = new Set(["coco", "c0co", "AIice", "1אב"]);
  const right = rows.map(({ login }) => (login === null || alike.has(login) ? null : skeletonOf(login)));
  expect(rows.map(({ login_skeleton }) => login_skeleton)).toEqual(right);
  expect(new Set(right.filter((it) => it !== null)).size).toBe(6 + 1_995);
});
