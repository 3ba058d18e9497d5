import type { ClientBase } from "pg";
import type { ExportSection } from "../../src/export/export-section.ts";

/** A table of the database. */
interface Table {
  readonly name: string;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  /** Whether it has a `user_id`, or hangs on `users`, itself or by way of others. */
  readonly ofUsers: boolean;
}

/** What the sections say of a table, together. */
interface Claim {
  readonly exported: Set<string>;
  readonly withheld: Map<string, string>;
}

/** Columns of a row that belongs to a user: the document says both once, at its top. */
const SAID_ONCE = ["project_id", "user_id"];

/** What no column is called that may be exported. */
const SECRET = /(^|_)(secret|sealed|digest|seed|hash|phc)(_|$)/;

const IN_A_SECTION =
  "Give the feature an export section (src/<feature>/<thing>-export.ts, by tableSection() where rows have a user_id) that names the " +
  "table, with each of its columns under `exported`, or under `withheld` with the reason; add it to EXPORT_SECTIONS in " +
  "src/export-sections.ts and describe it in docs/export.md";

/**
 * What an export of a user forgets: each with what to do. `impersonal` are the tables that hold nothing of one user, with the reason.
 */
export async function exportGaps(
  database: Pick<ClientBase, "query">,
  sections: readonly ExportSection[],
  impersonal: Readonly<Record<string, string>>,
): Promise<string[]> {
  const tables = await readTables(database);
  const claims = claimsOf(sections);
  const known = new Set(tables.map(({ name }) => name));
  const named = [...claims.keys(), ...Object.keys(impersonal)];
  return [
    ...tables.flatMap((table) => tableGaps(table, claims.get(table.name), impersonal[table.name])),
    ...named.filter((name) => !known.has(name)).map((name) => `There is no table ${name}: take it out.`),
  ];
}

function tableGaps(table: Table, claim: Claim | undefined, reason: string | undefined): string[] {
  const { name, ofUsers } = table;
  if (claim && reason !== undefined)
    return [
      `The table ${name} is in a section and on the list of tables that hold nothing of one user: take it off the list.`,
    ];
  if (claim) return columnGaps(table, claim);
  if (ofUsers) return [`The table ${name} holds something of a user, and no export tells of it. ${IN_A_SECTION}.`];
  if (reason !== undefined) return [];
  return [
    `It is not said whether the table ${name} holds something of one user. If it does: ${IN_A_SECTION}. If not: put it, with the ` +
      "reason, on the list in test/contract/export-covers-schema.test.ts.",
  ];
}

function columnGaps({ name, columns }: Table, { exported, withheld }: Claim): string[] {
  const there = new Map(columns.map((column) => [column.name, column.type]));
  const asked = columns.filter((column) => !SAID_ONCE.includes(column.name));
  const both = [...exported].filter((column) => withheld.has(column));
  const unknown = [...exported, ...withheld.keys()].filter((column) => !there.has(column));
  const secret = [...exported].filter((column) => there.get(column) === "bytea" || SECRET.test(column));
  return [
    ...asked
      .filter((column) => !exported.has(column.name) && !withheld.has(column.name))
      .map(
        (column) =>
          `The column ${name}.${column.name} is neither exported nor withheld: name it in the section of that table, under ` +
          "`exported` (and in docs/export.md), or under `withheld` with the reason.",
      ),
    ...both.map((column) => `The column ${name}.${column} is both exported and withheld: decide.`),
    ...unknown.map((column) => `There is no column ${name}.${column}: take it out of its section.`),
    ...secret.map((column) => `The column ${name}.${column} is bytes or a secret: withhold it.`),
    ...[...withheld].filter(([, why]) => why === "").map(([column]) => `Say why ${name}.${column} is withheld.`),
  ];
}

function claimsOf(sections: readonly ExportSection[]): Map<string, Claim> {
  const claims = new Map<string, Claim>();
  for (const [table, { exported, withheld = {} }] of sections.flatMap(({ tables }) => Object.entries(tables))) {
    const claim = claims.get(table) ?? { exported: new Set(), withheld: new Map() };
    for (const column of exported) claim.exported.add(column);
    for (const [column, why] of Object.entries(withheld)) claim.withheld.set(column, why);
    claims.set(table, claim);
  }
  return claims;
}

async function readTables(database: Pick<ClientBase, "query">): Promise<Table[]> {
  const { rows } = await database.query<Table>(`
    with recursive hangs (oid) as (
      select 'users'::regclass::oid
      union
      select c.conrelid from pg_constraint c join hangs on c.confrelid = hangs.oid where c.contype = 'f'
    )
    select t.relname as name,
      json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, null)) order by a.attnum) as columns,
      t.oid in (select oid from hangs) or bool_or(a.attname = 'user_id') as "ofUsers"
    from pg_class t join pg_attribute a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
    where t.relnamespace = 'public'::regnamespace and t.relkind in ('r', 'p') and not t.relispartition
    group by t.oid, t.relname order by t.relname`);
  return rows;
}
