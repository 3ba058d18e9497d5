import type { QueryResultRow } from "pg";
import type { Act } from "./act.ts";
import type { Database } from "./orm.ts";
import { query, type Statement, type Values } from "./statement.ts";

/** A statement that changes a project and says in the same breath who does it: its text takes the facts of the act. */
export interface RecordedStatement extends Statement {
  readonly recorded: true;
}

/** Whose data is changed, until when that is wanted, and what is being done. */
export interface WriteScope {
  readonly projectId: string;
  readonly signal?: AbortSignal | undefined;
  readonly act: Act;
}

const ACT = "$act";

/** A statement of a text in which `$act` stands, a JSON object, wherever history is appended to. It becomes the last parameter. */
export function recorded(statement: Statement): RecordedStatement {
  const { text } = statement;
  if (!text.includes(ACT)) throw new Error(`${statement.name ?? text} appends nothing to history`);
  const numbers = [...text.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number));
  return { ...statement, text: text.replaceAll(ACT, `$${Math.max(0, ...numbers) + 1}::jsonb`), recorded: true };
}

/**
 * Runs a recorded statement by itself, in a transaction of its own; `values` are those before the act. Otherwise as `query`. `isChange` says of its
 * rows whether it has written anything: of nothing nobody is told, who would look for it on every server. Left out: it always has.
 */
export async function write<Row extends QueryResultRow>(
  { pool }: Pick<Database, "pool">,
  { projectId, signal, act }: WriteScope,
  statement: RecordedStatement,
  values: Values,
  isChange: (rows: Row[]) => boolean = () => true,
): Promise<Row[]> {
  const rows = await query<Row>(pool, statement, withFacts(values, act), signal);
  if (isChange(rows)) act.committed(projectId);
  return rows;
}

/** The same of a statement that changes whatever projects there are: its rows say which. */
export async function writeAnywhere<Row extends QueryResultRow & { readonly projectId: string }>(
  { pool }: Pick<Database, "pool">,
  { signal, act }: Omit<WriteScope, "projectId">,
  statement: RecordedStatement,
  values: Values,
): Promise<Row[]> {
  const rows = await query<Row>(pool, statement, withFacts(values, act), signal);
  for (const projectId of new Set(rows.map((row) => row.projectId))) act.committed(projectId);
  return rows;
}

const withFacts = (values: Values, { facts }: Act): Values =>
  typeof values === "function" ? () => [...values(), facts] : [...values, facts];
