import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { expect, test } from "vitest";
import { transaction } from "../../src/db/transaction.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();

const PROJECT = "01900000-0000-7000-8000-000000000001";
await db.pool.query(
  "insert into projects (id, display_name, create_time, update_time) values ($1, 'A', now(), now())",
  [PROJECT],
);

/** Adds a user whose id ends in `number`. */
const addUser = (number: number, columns: Readonly<Record<string, string>>, projectId = PROJECT) =>
  transaction(db, {}, async (em) => {
    const row = {
      project_id: projectId,
      id: `01900000-0000-7000-8000-00000000000${number}`,
      external_id: `e${number}`,
      ...columns,
    };
    const names = [...Object.keys(row), "create_time", "update_time"];
    const sql = `insert into users (${names.join()}) values (${Object.keys(row)
      .map(() => "?")
      .join()}, now(), now())`;
    await em.execute(sql, Object.values(row));
  });

await addUser(1, {
  external_id: "taken",
  login_key: "taken",
  login_skeleton: "taken",
  email_key: "taken",
  phone: "taken",
});

test.each([
  ["external_id", "EXTERNAL_ID_TAKEN", {}],
  ["login_key", "LOGIN_TAKEN", {}],
  ["login_skeleton", "LOGIN_TAKEN", {}],
  ["email_key", "LOCATOR_TAKEN", { metadata: { type: "email" } }],
  ["phone", "LOCATOR_TAKEN", { metadata: { type: "phone" } }],
])("a second user with one %s is refused by %s", async (column, reason, extra) => {
  await expect(addUser(2, { [column]: "taken" })).rejects.toMatchObject({ reason, extra });
});

test("a user of a project that is gone is refused by PROJECT_NOT_FOUND", async () => {
  const gone = "01900000-0000-7000-8000-00000000000f";
  await expect(addUser(3, {}, gone)).rejects.toMatchObject({ reason: "PROJECT_NOT_FOUND" });
});

/** Work that loses against another transaction as often as it is run, up to `times`. */
const losing = (times: number, sqlState: string) => {
  const runs = { count: 0 };
  const work = async (em: SqlEntityManager) => {
    if (++runs.count <= times) await em.execute(`do $$ begin raise exception using errcode = '${sqlState}'; end $$`);
    return "done";
  };
  return { runs, work };
};

test.each(["40001", "40P01"])("a transaction that loses by %s is run again until it is through", async (sqlState) => {
  const { runs, work } = losing(3, sqlState);
  expect(await transaction(db, {}, work)).toBe("done");
  expect(runs.count).toBe(4);
});

test.each(["40001", "40P01"])("a transaction that loses by %s time and again ends with CONFLICT", async (sqlState) => {
  const { runs, work } = losing(100, sqlState);
  await expect(transaction(db, {}, work)).rejects.toMatchObject({ reason: "CONFLICT" });
  expect(runs.count).toBe(4);
});
