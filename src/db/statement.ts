import type { Pool, PoolClient, QueryResultRow } from "pg";
import pg from "pg";
import { storageError } from "./constraints.ts";
import { execute } from "./execution.ts";
import { expectWithin } from "./lost-connections.ts";
import { retryLostRaces } from "./retry.ts";

/** A hot statement: one SQL text under a name, planned once per connection and bound from then on. */
export interface Statement {
  /** Left out: it is planned for the values of each call. */
  readonly name?: string;
  readonly text: string;
  /** Without any answer for this long, the connection is taken for dead. Left out: the longest that statements may take, and 5 s. */
  readonly withinMs?: number;
}

/** One that is planned once. */
export interface NamedStatement extends Statement {
  readonly name: string;
}

/** What a statement is bound to. A function is asked each time the statement is run, once there is a connection for it. */
export type Values = unknown[] | (() => unknown[]);

/** Runs one statement by itself, in a transaction of its own. An aborted signal cancels it in the database. */
export async function query<Row extends QueryResultRow>(
  pool: Pool,
  statement: Statement,
  values: Values,
  signal?: AbortSignal,
): Promise<Row[]> {
  signal?.throwIfAborted();
  try {
    return await retryLostRaces(() => run<Row>(pool, statement, values, signal));
  } catch (error) {
    throw storageError(error, signal);
  }
}

async function run<Row extends QueryResultRow>(
  pool: Pool,
  statement: Statement,
  values: Values,
  signal: AbortSignal | undefined,
): Promise<Row[]> {
  const client = await connect(pool, signal);
  let cancelled = false;
  /** Whatever is no error of the statement itself is one of the connection. */
  let broken = false;
  const cancel = () => {
    cancelled = true;
    void cancelStatement(pool, client);
  };
  signal?.addEventListener("abort", cancel, { once: true });
  if (statement.withinMs !== undefined) expectWithin(client, statement.withinMs);
  try {
    return await execute<Row>(client, statement, typeof values === "function" ? values() : values);
  } catch (error) {
    broken = (error as { severity?: string }).severity !== "ERROR";
    // It was made where the answer was read: from here on it says who asked.
    if (error instanceof Error) Error.captureStackTrace(error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", cancel);
    // A cancel request names the connection, not the statement: one that is late must not hit somebody else's.
    client.release(cancelled || broken);
  }
}

/** A connection of the pool. A caller that leaves while it waits leaves at once, and its place in the queue comes to nothing. */
export async function connect(pool: Pool, signal: AbortSignal | undefined): Promise<PoolClient> {
  const hasOne = pool.idleCount > pool.waitingCount;
  const connecting = pool.connect();
  if (!signal || hasOne) return connecting;
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  try {
    return await Promise.race([connecting, left.promise]);
  } catch (error) {
    void connecting.then((client) => client.release()).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

/** Asks the server, over a connection of its own, to give up what `client` is doing. */
async function cancelStatement(pool: Pool, client: PoolClient): Promise<void> {
  const { processID } = client as PoolClient & { processID: number };
  const canceller = new pg.Client(pool.options);
  canceller.on("error", () => {});
  try {
    await canceller.connect();
    await canceller.query("select pg_cancel_backend($1)", [processID]);
  } catch {
    // The statement then ends by its own timeout.
  } finally {
    await canceller.end().catch(() => {});
  }
}
