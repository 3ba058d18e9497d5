import type { Database } from "../db/orm.ts";
import { type RunStatement, readConsistently } from "../db/read-consistently.ts";
import { query, type Statement } from "../db/statement.ts";
import { microseconds } from "./entry-content.ts";
import { createFindings, type Finding, type Findings } from "./findings.ts";
import { type Place, START } from "./seal.ts";
import type { SealKeys } from "./seal-keys.ts";
import { type ChainEnd, type KnownHead, verifyChain } from "./verify-chain.ts";

export interface VerifyPorts {
  readonly db: Pick<Database, "pool">;
  readonly keys: SealKeys;
}

/** What became of the trail of a project. */
export interface VerifiedTrail {
  readonly projectId: string;
  /** The last seal: kept elsewhere, it proves later that nothing is cut off. Undefined: nothing is sealed. */
  readonly head: KnownHead | undefined;
  readonly seals: number;
  readonly entries: number;
  /** Entries that are not sealed yet. */
  readonly unsealed: number;
  /** Entries that were removed because their time was over. */
  readonly pruned: string;
  /** Seals that were made more than an hour after one of their entries: no server ran, or somebody had them made anew. */
  readonly sealedLate: number;
  /** The first of them. */
  readonly findings: readonly Finding[];
  readonly findingCount: number;
}

/** The project behind $1 that has entries or seals. */
const NEXT_PROJECT: Statement = {
  text: `
    select least(
      (select project_id from audit_entries where $1::uuid is null or project_id > $1 order by project_id limit 1),
      (select project_id from audit_seals where $1::uuid is null or project_id > $1 order by project_id limit 1))::text as id`,
};

/** The entries that no seal can hold: up to $2, $3. */
const BEFORE_START = "(transaction_id, sequence) <= ($2::xid8, $3::bigint)";
/** A transaction id that is not given out yet. Those that were, and still run, are not seen. */
const IN_FUTURE = "transaction_id >= audit_place(pg_snapshot_xmax(pg_current_snapshot()))";
const BEHIND_END = "(transaction_id, sequence) > ($2::xid8, $3::bigint)";
/** Entries that are out of place and told one by one. */
const TOLD = 10;

/** Gives the projects that have a trail, in the order of their ids, those that are deleted too. */
export async function* auditedProjects({ db }: VerifyPorts, signal?: AbortSignal): AsyncGenerator<string> {
  for (let after: string | null = null; ; ) {
    const rows: { id: string | null }[] = await query(db.pool, NEXT_PROJECT, [after], signal);
    after = rows[0]?.id ?? null;
    if (after === null) return;
    yield after;
  }
}

/**
 * Recomputes all that proves the trail of a project, in memory that does not grow with it, as the database is at one moment. `known` are seals that were
 * there before. STORAGE_UNAVAILABLE.
 */
export function verifyAudit(
  { db, keys }: VerifyPorts,
  projectId: string,
  known: readonly KnownHead[] = [],
  signal?: AbortSignal,
): Promise<VerifiedTrail> {
  const work = async (run: RunStatement): Promise<VerifiedTrail> => {
    const findings = createFindings(projectId);
    const end = await verifyChain(run, keys, projectId, known, findings);
    await verifyStart(run, projectId, end, findings);
    const unsealed = await verifyTail(run, projectId, end, findings);
    verifyEnd(end, known, findings);
    const { head, pruned, seals, entries, sealedLate } = end;
    return {
      projectId,
      head: head && { number: head.number, hash: head.chain.toString("hex") },
      ...{ seals, entries, unsealed, sealedLate },
      pruned: pruned?.pruning?.entries ?? "0",
      findings: findings.kept,
      findingCount: findings.count,
    };
  };
  return readConsistently(db.pool, work, signal);
}

/** Entries before the first that is sealed, or where they were removed. */
async function verifyStart(
  run: RunStatement,
  projectId: string,
  { pruned }: ChainEnd,
  findings: Findings,
): Promise<void> {
  const detail = pruned ? "the entries up to here were removed, and it is there" : "it stands before every seal";
  await tell(
    run,
    { projectId, place: pruned ?? START, where: BEFORE_START, detail, kind: "entries_unsealed" },
    findings,
  );
}

/** Entries behind the last seal. Gives how many there are. */
async function verifyTail(
  run: RunStatement,
  projectId: string,
  { head }: ChainEnd,
  findings: Findings,
): Promise<number> {
  const { transactionId, sequence } = head ?? START;
  const count = `select count(*)::int as count from audit_entries where project_id = $1 and ${BEHIND_END} and not (${IN_FUTURE})`;
  const [tail] = await run<{ count: number }>({ text: count }, [projectId, transactionId, sequence]);
  const detail = "the database has not come to its transaction: it was inserted, or restored from another server";
  const where = `${BEHIND_END} and ${IN_FUTURE}`;
  await tell(run, { projectId, place: head ?? START, where, detail, kind: "entries_of_the_future" }, findings);
  return tail?.count ?? 0;
}

interface OutOfPlace {
  readonly projectId: string;
  readonly place: Place;
  /** SQL over an entry. */
  readonly where: string;
  readonly kind: Finding["kind"];
  readonly detail: string;
}

async function tell(
  run: RunStatement,
  { projectId, place, where, kind, detail }: OutOfPlace,
  findings: Findings,
): Promise<void> {
  const text = `
    select transaction_id::text as "transactionId", sequence::text, ${microseconds("create_time")} as time, count(*) over ()::int as count
    from audit_entries where project_id = $1 and ${where} order by audit_entries.transaction_id, audit_entries.sequence limit ${TOLD}`;
  const rows = await run<Place & { time: string; count: number }>({ text }, [
    projectId,
    place.transactionId,
    place.sequence,
  ]);
  for (const { transactionId, sequence, time, count } of rows) {
    const more = count > TOLD ? `; one of ${count}` : "";
    findings.add({ kind, upTo: { transactionId, sequence }, time, detail: `${detail}${more}` });
  }
}

/** Whether the trail still reaches as far as it did. */
function verifyEnd({ head, pruned }: ChainEnd, known: readonly KnownHead[], findings: Findings): void {
  for (const { number } of known) {
    // Of what was removed because its time was over, nothing is left to compare.
    if (pruned && BigInt(number) < BigInt(pruned.number)) continue;
    if (BigInt(number) > BigInt(head?.number ?? 0))
      findings.add({
        kind: "end_missing",
        seal: number,
        detail: head ? `the trail ends with seal ${head.number}` : "the trail has no seal",
      });
  }
}
