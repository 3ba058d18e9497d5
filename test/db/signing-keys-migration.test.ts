import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { createLogger } from "../../src/logger.ts";
import { emptyDatabaseAddress } from "../support/database.ts";

const options = { poolSize: 2, statementTimeoutMs: 30_000 };
const db = await openDatabase(await emptyDatabaseAddress(), ENTITIES, options, createLogger("silent"));
afterAll(() => db[Symbol.asyncDispose]());

const idOf = (number: number) => `01900000-0000-7000-8000-00000000000${number}`;
const [PROJECT, USER, OLD, NEW, OF_OLD, OF_NEW] = [1, 2, 3, 4, 5, 6].map(idOf);
const DAY_MS = 86_400_000;

const [MADE, CHANGED] = [Date.parse("2026-06-01T00:00:00Z"), Date.parse("2026-06-02T00:00:00Z")];

/** A project that has changed its algorithm, with a token of each of its keys. */
async function fill(): Promise<void> {
  const run = (sql: string, values: readonly unknown[]) =>
    db.pool.query(
      sql,
      values.map((value) => (typeof value === "number" ? new Date(value) : value)),
    );
  const settings = { tokenTtlMaxMs: DAY_MS };
  await run("insert into projects values ($1, 'A', $2, now(), now())", [PROJECT, settings]);
  const insertUser = "insert into users (project_id, id, external_id, create_time, update_time)";
  await run(`${insertUser} values ($1, $2, 'u', now(), now())`, [PROJECT, USER]);
  const insertKey = "insert into signing_keys values ($1, $2, 'ED25519', $3, '{}', '', $4)";
  await run(insertKey, [PROJECT, OLD, "RETIRING", MADE]);
  await run(insertKey, [PROJECT, NEW, "ACTIVE", CHANGED]);
  const insertToken = "insert into tokens (project_id, user_id, id, issue_time, expire_time)";
  // A token begins at the full second, which may be before its key was made.
  await run(`${insertToken} values ($1, $2, $3, $4, now())`, [PROJECT, USER, OF_OLD, MADE - 900]);
  await run(`${insertToken} values ($1, $2, $3, $4, now())`, [PROJECT, USER, OF_NEW, CHANGED - 900]);
}

test("keys that are there go on as they are, with the tokens that they signed", async () => {
  await db.orm.migrator.up({ to: "2026-11-22-07-retrieval-indexes" });
  await fill();
  await db.orm.migrator.up();
  const keys = await db.pool.query(
    `
    select id, activate_time = create_time as activated, retire_time = $1 as retired, last_expire_time = $2 as ends
    from signing_keys order by id`,
    [new Date(CHANGED), new Date(CHANGED + DAY_MS)],
  );
  expect(keys.rows).toEqual([
    { id: OLD, activated: true, retired: true, ends: true },
    { id: NEW, activated: true, retired: null, ends: false },
  ]);
  const tokens = await db.pool.query("select id, key_id from tokens order by id");
  expect(tokens.rows).toEqual([
    { id: OF_OLD, key_id: OLD },
    { id: OF_NEW, key_id: NEW },
  ]);
});
