import type { Pool, QueryResultRow } from "pg";
import { storageError } from "./constraints.ts";
import { execute } from "./execution.ts";
import { connect, type Statement } from "./statement.ts";

/** Runs one statement of a reading. */
export type RunStatement = <Row extends QueryResultRow>(statement: Statement, values: unknown[]) => Promise<Row[]>;

/**
 * Pages are read by walking an index in its order. Where a tenth of the rows is guessed to be there that are, Postgres would rather fetch all that is
 * left and sort it, for each page anew.
 */
const BEGIN = `begin isolation level repeatable read read only; set local enable_bitmapscan = off; set local enable_sort = off`;

/** Reads by statements of which all see what the first one saw: one after the other, in a transaction that writes nothing. */
export async function readConsistently<T>(
  pool: Pool,
  work: (run: RunStatement) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  signal?.throwIfAborted();
  let broken = false;
  try {
    const client = await connect(pool, signal);
    try {
      await client.query(BEGIN);
      return await work((statement, values) => execute(client, statement, values));
    } finally {
      await client.query("rollback").catch(() => {
        broken = true;
      });
      client.release(broken);
    }
  } catch (error) {
    throw storageError(error, signal);
  }
}
