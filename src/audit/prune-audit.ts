import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { type RunStatement, readConsistently } from "../db/read-consistently.ts";
import { query, type Statement } from "../db/statement.ts";
import { transaction } from "../db/transaction.ts";
import { readBatch } from "./read-batch.ts";
import {
  chainOf,
  equalMacs,
  NO_CHAIN,
  type Place,
  type Pruning,
  pruneMacOf,
  SEAL_SQL,
  type Seal,
  START,
  sealOf,
} from "./seal.ts";
import type { SealPorts } from "./seal-audit.ts";
import type { SealKeys } from "./seal-keys.ts";

export interface PrunePorts extends SealPorts {
  /** 0: for good. */
  readonly retentionDays: number;
}

const DAY_MS = 86_400_000;
/** Entries that are removed in one transaction; a seal has at most as many. */
const MOST_ENTRIES = 5_000;
/** Seals of a project that are looked at by one statement. */
const SEALS = 500;

/** A step through the primary key for each project: the one behind $1. */
const NEXT_PROJECT: Statement = {
  name: "audit_next_sealed_project",
  text: "select project_id::text as id from audit_seals where project_id > $1 order by project_id limit 1",
};

const FIRST_SEALS: Statement = {
  name: "audit_first_seals",
  text: `select ${SEAL_SQL} from audit_seals where project_id = $1 order by audit_seals.number limit ${SEALS}`,
};

const FIRST_ID = "00000000-0000-0000-0000-000000000000";

/**
 * Removes the entries that were sealed before the time they are kept for, and their seals but the last, which then says that they were removed. Each
 * transaction by itself leaves a chain that is whole. What does not agree with its seals is evidence and stays, and those behind it: rejects once it has
 * been through with all projects.
 */
export async function pruneAudit(ports: PrunePorts, signal: AbortSignal): Promise<void> {
  const { clock, retentionDays } = ports;
  if (retentionDays === 0) return;
  const before = clock.now() - retentionDays * DAY_MS;
  const refused: string[] = [];
  for (let projectId = await nextProject(ports, FIRST_ID, signal); projectId; ) {
    if (!(await pruneProject(ports, projectId, before, signal))) refused.push(projectId);
    projectId = await nextProject(ports, projectId, signal);
  }
  if (refused.length > 0)
    throw new Error(
      `audit entries of ${refused.length} projects do not agree with their seals and are not removed: run muster audit verify (${refused.slice(0, 10).join(", ")})`,
    );
}

async function nextProject({ db }: PrunePorts, after: string, signal: AbortSignal): Promise<string | undefined> {
  const [next] = await query<{ id: string }>(db.pool, NEXT_PROJECT, [after], signal);
  return next?.id;
}

/** Gives false where something does not agree with its seal. */
async function pruneProject(
  ports: PrunePorts,
  projectId: string,
  before: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { db, keys, clock } = ports;
  for (;;) {
    const work = (run: RunStatement) => findDue(run, keys, projectId, before);
    const due = await readConsistently(db.pool, work, signal);
    if (typeof due === "string") return due === "NONE";
    const { anchor, last, entries } = due;
    const pruning = { keyId: keys.current, entries, time: `${BigInt(clock.now()) * 1_000n}` };
    const mac = pruneMacOf(keys, last, pruning);
    await transaction(db, { signal }, (em) => remove(em, anchor ?? START, last, { ...pruning, mac }));
  }
}

interface Due {
  /** The seal up to which entries were removed before. */
  readonly anchor: Seal | undefined;
  /** The seal up to which they are to be removed. */
  readonly last: Seal;
  /** How many entries will then have been removed in all. */
  readonly entries: string;
}

/** What of a project can go in one transaction. CHANGED: it does not agree with its seals. */
async function findDue(
  run: RunStatement,
  keys: SealKeys,
  projectId: string,
  before: number,
): Promise<Due | "NONE" | "CHANGED"> {
  const [first, ...others] = (await run(FIRST_SEALS, [projectId])).map(sealOf);
  const anchor = first?.pruning ? first : undefined;
  const seals = dueOf(first && !anchor ? [first, ...others] : others, before);
  const last = seals.at(-1);
  if (!last) return "NONE";
  const holds = (!anchor || isPruned(keys, anchor)) && (await agree(run, keys, anchor, seals));
  if (!holds) return "CHANGED";
  const entries = seals.reduce((sum, seal) => sum + BigInt(seal.entries), BigInt(anchor?.pruning?.entries ?? 0));
  return { anchor, last, entries: String(entries) };
}

/** Those whose time is over, as many as go in one transaction. */
function dueOf(seals: readonly Seal[], before: number): Seal[] {
  let entries = 0;
  const end = seals.findIndex((seal) => {
    entries += seal.entries;
    return Number(seal.sealTime) / 1_000 >= before || entries > MOST_ENTRIES;
  });
  return seals.slice(0, end < 0 ? seals.length : end);
}

const isPruned = (keys: SealKeys, seal: Seal): boolean =>
  seal.pruning !== null &&
  keys.has(seal.pruning.keyId) &&
  equalMacs(pruneMacOf(keys, seal, seal.pruning), seal.pruning.mac);

/** Whether the seals are the first of their chain and the entries are those that they seal: what somebody changed is not removed as if it were due. */
async function agree(
  run: RunStatement,
  keys: SealKeys,
  anchor: Seal | undefined,
  seals: readonly Seal[],
): Promise<boolean> {
  let before: Pick<Seal, "number" | "chain" | "transactionId" | "sequence"> = anchor ?? {
    number: "0",
    chain: NO_CHAIN,
    ...START,
  };
  for (const seal of seals) {
    const follows = BigInt(seal.number) === BigInt(before.number) + 1n && seal.pruning === null && keys.has(seal.keyId);
    if (!follows || !equalMacs(chainOf(keys, seal, before.chain), seal.chain)) return false;
    const found = await readBatch(run, keys, seal, before, seal);
    if (found.entries !== seal.entries || !equalMacs(found.digest, seal.digest)) return false;
    before = seal;
  }
  return true;
}

async function remove(
  em: SqlEntityManager,
  after: Place,
  last: Seal,
  { entries, time, keyId, mac }: Pruning,
): Promise<void> {
  const { projectId, number } = last;
  const marked = await em.execute(
    `update audit_seals set pruned_entries = ?::bigint, prune_time = ?::timestamptz, prune_key_id = ?, prune_mac = ?
     where project_id = ?::uuid and number = ?::bigint and prune_mac is null returning 1`,
    [entries, new Date(Number(time) / 1_000), keyId, mac, projectId, number],
  );
  // Another process was first.
  if (marked.length === 0) return;
  await em.execute("delete from audit_seals where project_id = ?::uuid and number < ?::bigint", [projectId, number]);
  await em.execute(
    `delete from audit_entries where project_id = ?::uuid
     and (transaction_id, sequence) > (?::text::xid8, ?::bigint) and (transaction_id, sequence) <= (?::text::xid8, ?::bigint)`,
    [projectId, after.transactionId, after.sequence, last.transactionId, last.sequence],
  );
}
