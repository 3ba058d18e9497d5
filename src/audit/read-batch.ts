import type { RunStatement } from "../db/read-consistently.ts";
import type { Statement } from "../db/statement.ts";
import { ENTRY_SQL, type EntryContent, entryBytes } from "./entry-content.ts";
import { type Place, START } from "./seal.ts";
import type { SealKeys } from "./seal-keys.ts";

/** Entries that are held in memory at a time. */
export const PAGE = 1_000;

/**
 * What has been written before every transaction that still runs: nothing is ever added to it. As an expression of SQL, it is asked for once.
 */
export const HORIZON = "(select audit_place(pg_snapshot_xmin(pg_current_snapshot())))";

const READ: Statement = {
  name: "audit_read_batch",
  text: `
    select ${ENTRY_SQL} from audit_entries
    where project_id = $1 and (transaction_id, sequence) > ($2::xid8, $3::bigint) and (transaction_id, sequence) <= ($4::xid8, $5::bigint)
    order by audit_entries.transaction_id, audit_entries.sequence limit ${PAGE}`,
};

/** How many entries of a project there are behind a place and up to another one, and their HMAC. In bounded memory. */
export async function readBatch(
  run: RunStatement,
  keys: SealKeys,
  { projectId, keyId }: { readonly projectId: string; readonly keyId: string },
  after: Place,
  upTo: Place,
): Promise<{ entries: number; digest: Buffer }> {
  const mac = keys.mac(keyId, "entries");
  let [entries, place] = [0, after];
  for (let rows = PAGE; rows === PAGE; ) {
    const values = [projectId, place.transactionId, place.sequence, upTo.transactionId, upTo.sequence];
    const page = await run<EntryContent>(READ, values);
    for (const entry of page) mac.add(entryBytes(entry));
    rows = page.length;
    entries += rows;
    place = placeOf(page.at(-1));
  }
  return { entries, digest: mac.end() };
}

/** Where an entry is. */
export const placeOf = (entry: EntryContent | undefined): Place => ({
  transactionId: entry?.["transaction_id"] ?? START.transactionId,
  sequence: entry?.["sequence"] ?? START.sequence,
});
