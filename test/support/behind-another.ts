import { expect } from "vitest";
import type { Database } from "../../src/db/orm.ts";

/** Makes a call while another transaction has run a statement, which it commits once the call waits for what it has locked. */
export async function behindAnother<T>(
  { pool }: Pick<Database, "pool">,
  statement: string,
  values: unknown[],
  call: () => Promise<T>,
): Promise<T> {
  const other = await pool.connect();
  try {
    await other.query("begin");
    await other.query(statement, values);
    const called = call();
    const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    await expect.poll(async () => (await pool.query(waiting)).rowCount).toBe(1);
    await other.query("commit");
    return await called;
  } finally {
    other.release();
  }
}
