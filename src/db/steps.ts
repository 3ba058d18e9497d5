import type { Pool, QueryResultRow } from "pg";
import { storageError } from "./constraints.ts";
import { execute } from "./execution.ts";
import { retryLostRaces } from "./retry.ts";
import { connect, type Statement } from "./statement.ts";

/** Runs one statement of several that are a transaction together. */
export type Step = <Row extends QueryResultRow>(statement: Statement, values: unknown[]) => Promise<Row[]>;

/**
 * Runs hot statements one after the other as one transaction. Each sees what those before it have done, and what others have committed by then:
 * behind a lock that the first of them takes, all that came of those who held it before. `work` may run more than once.
 */
export async function inSteps<T>(pool: Pool, work: (step: Step) => Promise<T>): Promise<T> {
  try {
    return await retryLostRaces(() => once(pool, work));
  } catch (error) {
    throw storageError(error, undefined);
  }
}

async function once<T>(pool: Pool, work: (step: Step) => Promise<T>): Promise<T> {
  const client = await connect(pool, undefined);
  let broken = false;
  try {
    await client.query("begin");
    const done = await work((statement, values) => execute(client, statement, values));
    await client.query("commit");
    return done;
  } catch (error) {
    await client.query("rollback").catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}
