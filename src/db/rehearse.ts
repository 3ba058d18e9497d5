import type { Pool, PoolClient, QueryConfig } from "pg";
import { storageError } from "./constraints.ts";
import { Execution, execute } from "./execution.ts";
import { connect } from "./statement.ts";

/**
 * Does work of which nothing stays. All its statements run in one transaction, each sees what those before it have done, and one that fails
 * leaves what they did, as it would if each were a transaction of its own. Statements are run one after the other. The work is given a
 * pool to run them by: it must wait for nothing that needs a connection of another one.
 */
export async function rehearse<T>(pool: Pool, work: (pool: Pool) => Promise<T>, signal?: AbortSignal): Promise<T> {
  signal?.throwIfAborted();
  const state = { broken: false };
  try {
    const client = await connect(pool, signal);
    try {
      await client.query("begin");
      return await work(poolOf(pool, client, state));
    } finally {
      await client.query("rollback").catch(() => {
        state.broken = true;
      });
      client.release(state.broken);
    }
  } catch (error) {
    throw storageError(error, signal);
  }
}

/** A pool of the one connection, with a savepoint before each statement. */
function poolOf(pool: Pool, client: PoolClient, state: { broken: boolean }): Pool {
  async function inSavepoint<T>(run: () => Promise<T>): Promise<T> {
    await client.query("savepoint rehearsed");
    try {
      const result = await run();
      await client.query("release savepoint rehearsed");
      return result;
    } catch (error) {
      await client.query("rollback to savepoint rehearsed");
      throw error;
    }
  }
  const rehearsing = {
    processID: (client as PoolClient & { processID: number }).processID,
    query(statement: QueryConfig | Execution<unknown>) {
      if (!(statement instanceof Execution)) return inSavepoint(() => client.query(statement));
      // Whoever asked is told when the savepoint is behind it.
      const told = (error: Error | undefined, rows: unknown[]) => statement.callback(error, rows);
      return void inSavepoint(() => execute(client, statement, statement.values)).then(
        (rows) => told(undefined, rows),
        (error: Error) => told(error, []),
      );
    },
    release(destroy?: boolean) {
      state.broken ||= destroy === true;
    },
  };
  return { options: pool.options, connect: async () => rehearsing } as unknown as Pool;
}
