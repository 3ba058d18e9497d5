import { query, type Statement } from "../db/statement.ts";
import type { ExportScope, Json, JsonMap, ListSection } from "./export-section.ts";

/** Rows of one page. A row may have some 300 KB: this bounds what an export holds in memory. */
const PAGE_ROWS = 100;

/** A table whose rows belong to a user by `user_id`. */
export interface ExportedTable {
  /** The member of the document. */
  readonly name: string;
  readonly table: string;
  /** The columns that order the rows of one user; an index on project, user and these has to serve the pages. */
  readonly key: readonly string[];
  /** What is told of a row, each under the name of its column. */
  readonly exported: readonly string[];
  /** Columns that are withheld as they are, and read for `item` to tell what may be told of them. */
  readonly read?: readonly string[];
  /** The columns that are not told, each with the reason. */
  readonly withheld?: Readonly<Record<string, string>>;
  /** The transaction that wrote a row, as SQL over its columns: those that had not committed when the export began are left out. */
  readonly transaction?: string;
  /** What is told of a row in place of its columns. */
  item?(row: JsonMap, scope: ExportScope): Json;
}

interface Row {
  readonly position: readonly string[];
  readonly [column: string]: unknown;
}

/** The rows of a table that belong to a user: a list of objects, without what is null. Times are of UTC, as in RFC 3339. */
export function tableSection(of: ExportedTable): ListSection {
  const { name, table, exported, read = [], withheld = {}, item = (row) => row } = of;
  return {
    kind: "list",
    name,
    tables: { [table]: { exported, withheld } },
    async *pages(scope, userId) {
      for (let after: readonly string[] = []; ; ) {
        const { statement, values } = pageStatement(of, scope, userId, after);
        const rows = await query<Row>(scope.db.pool, statement, values, scope.signal);
        if (rows.length > 0) yield rows.map((row) => item(heldIn(row, [...exported, ...read]), scope));
        if (rows.length < PAGE_ROWS) return;
        after = rows.at(-1)?.position ?? [];
      }
    },
  };
}

/** Without a name: it is planned for this user, so that one with few rows never costs a walk over those of all others. */
function pageStatement(
  { table, key, exported, read = [], transaction }: ExportedTable,
  { projectId, snapshot }: ExportScope,
  userId: string,
  after: readonly string[],
): { statement: Statement; values: unknown[] } {
  const values: unknown[] = [projectId, userId];
  const parameter = (value: string) => `$${values.push(value)}`;
  const conditions = ["project_id = $1", "user_id = $2"];
  if (transaction) conditions.push(`pg_visible_in_snapshot(${transaction}, ${parameter(snapshot)}::pg_snapshot)`);
  if (after.length > 0) conditions.push(`(${key.join(", ")}) > (${after.map(parameter).join(", ")})`);
  const text = `
    select ${[...exported, ...read].join(", ")}, array[${key.map((column) => `${column}::text`).join(", ")}] as position
    from ${table} where ${conditions.join(" and ")}
    order by ${key.join(", ")} limit ${PAGE_ROWS}`;
  return { statement: { text }, values };
}

const heldIn = (row: Row, columns: readonly string[]): JsonMap =>
  Object.fromEntries(columns.flatMap((name) => (row[name] === null ? [] : [[name, jsonOf(row[name])]])));

const jsonOf = (value: unknown): Json => (value instanceof Date ? value.toISOString() : (value as Json));
