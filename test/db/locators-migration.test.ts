import { afterAll, expect, test } from "vitest";
import { openDatabase } from "../../src/db/orm.ts";
import { ENTITIES } from "../../src/entities.ts";
import { createLogger } from "../../src/logger.ts";
import { emptyDatabaseAddress } from "../support/database.ts";
import { unfaithfulLocators } from "../support/unfaithful-locators.ts";

const options = { poolSize: 2, statementTimeoutMs: 30_000 };
const db = await openDatabase(await emptyDatabaseAddress(), ENTITIES, options, createLogger("silent"));
afterAll(() => db[Symbol.asyncDispose]());

const PROJECT = "01900000-0000-7000-8000-000000000001";
const idOf = (number: number) => `01900000-0000-7000-8000-00000000001${number}`;

test("users that have an email and a phone hold them after the migration, and servers of the release before go on writing", async () => {
  await db.orm.migrator.up({ to: "2026-11-21-05-presence" });
  const { pool } = db;
  await pool.query("insert into projects (id, display_name, create_time, update_time) values ($1, 'A', now(), now())", [
    PROJECT,
  ]);
  const insert = `insert into users (project_id, id, external_id, email, email_key, email_verified, phone, create_time, update_time)
    values ($1, $2::uuid, $2::text, $3::text, lower($3), $4, $5, now(), now())`;
  await pool.query(insert, [PROJECT, idOf(1), "A@example.org", true, "+4930123456"]);
  await pool.query(insert, [PROJECT, idOf(2), null, false, null]);
  await db.orm.migrator.up();
  const locators = async (number: number) =>
    (await pool.query("select locators from users where id = $1", [idOf(number)])).rows[0].locators;
  expect(await locators(1)).toEqual([
    { type: "email", key: "a@example.org", value: "A@example.org", verified: true, primary: true },
    { type: "phone", key: "+4930123456", value: "+4930123456", verified: false, primary: true },
  ]);
  expect(await locators(2)).toEqual([]);
  await pool.query(insert, [PROJECT, idOf(3), "c@example.org", false, null]);
  await pool.query("update users set email = 'd@example.org', email_key = 'd@example.org' where id = $1", [idOf(3)]);
  expect(await locators(3)).toMatchObject([{ value: "d@example.org", primary: true }]);
  expect(await unfaithfulLocators(db, PROJECT)).toEqual([]);
});
