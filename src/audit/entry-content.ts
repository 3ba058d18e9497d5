import { fieldBytes } from "./field-bytes.ts";

/** A time as whole microseconds since the epoch, which the driver would cut to milliseconds. */
export const microseconds = (column: string): string =>
  `case when isfinite(${column}) then trunc(extract(epoch from ${column}) * 1000000)::text else ${column}::text end`;

/**
 * Every column of an entry, in the order in which it is sealed, and how it is read as text. Text of jsonb is canonical: members in the order of
 * their length and then their bytes, each once, numbers with the digits they were written with.
 */
const COLUMNS: Readonly<Record<string, string>> = {
  project_id: "project_id::text",
  transaction_id: "transaction_id::text",
  sequence: "sequence::text",
  create_time: microseconds("create_time"),
  method: "method",
  actor_kind: "actor_kind",
  actor_id: "actor_id",
  address: "address",
  request_id: "request_id",
  origin: "origin",
  user_id: "user_id::text",
  target: "target",
  details: "details::text",
};

export const ENTRY_COLUMNS: readonly string[] = Object.keys(COLUMNS);

/** What an entry is sealed by is read with. */
export const ENTRY_SQL: string = Object.entries(COLUMNS)
  .map(([name, sql]) => `${sql} as ${name}`)
  .join(", ");

/** An entry as `ENTRY_SQL` gives it. */
export type EntryContent = Readonly<Record<string, string | null>>;

/** The bytes of an entry. */
export const entryBytes = (entry: EntryContent): Buffer => fieldBytes(ENTRY_COLUMNS.map((name) => entry[name] ?? null));
