import type { QueryResultRow } from "pg";
import { storageError } from "./constraints.ts";
import type { BoundStatement } from "./execution.ts";
import type { LookUps } from "./look-ups.ts";
import type { Database } from "./orm.ts";
import { type NamedStatement, query } from "./statement.ts";

/** More keys than this are no short read. */
const FEW = 100;

/** The statement is not known to the connection: the one that was to make it known failed. */
const UNKNOWN_STATEMENT = "26000";

/**
 * Runs one short read, of a few rows by their key, on the connection that all of them share; by the pool where that does not serve. It sees all
 * that was committed before. A caller that leaves does so at once, and the read runs to its end with nobody to hear it: to cancel it would mean
 * to cancel whatever the connection is at. STORAGE_UNAVAILABLE.
 */
export async function lookUp<Row extends QueryResultRow>(
  db: Pick<Database, "pool" | "lookUps">,
  { name, text }: NamedStatement,
  values: unknown[],
  signal?: AbortSignal,
): Promise<Row[]> {
  signal?.throwIfAborted();
  const asked = ask<Row>(db.lookUps, { name, text, values }, signal);
  if (!asked) return query(db.pool, { name, text }, values, signal);
  try {
    return await asked;
  } catch (error) {
    if ((error as { code?: string }).code === UNKNOWN_STATEMENT) return query(db.pool, { name, text }, values, signal);
    throw storageError(error, signal);
  }
}

/** `lookUp` of what `keys` keys name, unless they are many: that goes by the pool. */
export function lookUpAll<Row extends QueryResultRow>(
  db: Pick<Database, "pool" | "lookUps">,
  statement: NamedStatement,
  { keys, values }: { readonly keys: number; readonly values: unknown[] },
  signal?: AbortSignal,
): Promise<Row[]> {
  return keys <= FEW ? lookUp(db, statement, values, signal) : query(db.pool, statement, values, signal);
}

function ask<Row extends QueryResultRow>(
  lookUps: LookUps,
  bound: BoundStatement,
  signal: AbortSignal | undefined,
): Promise<Row[]> | undefined {
  const { promise, resolve, reject } = Promise.withResolvers<Row[]>();
  const leave = () => reject(signal?.reason);
  const isSent = lookUps.send<Row>(bound, (error, rows) => {
    signal?.removeEventListener("abort", leave);
    if (error) reject(error);
    else resolve(rows);
  });
  if (!isSent) return undefined;
  signal?.addEventListener("abort", leave, { once: true });
  return promise;
}
