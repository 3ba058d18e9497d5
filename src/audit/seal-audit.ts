import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type RunStatement, readConsistently } from "../db/read-consistently.ts";
import { query, type Statement } from "../db/statement.ts";
import { ENTRY_SQL, type EntryContent, entryBytes } from "./entry-content.ts";
import { HORIZON, PAGE, placeOf } from "./read-batch.ts";
import { chainOf, NO_CHAIN, type Place, SEAL_SQL, type Seal, type SealContent, START, sealOf } from "./seal.ts";
import type { SealKeys } from "./seal-keys.ts";

export interface SealPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly keys: SealKeys;
}

/** Projects that are looked at by one statement, */
const PROJECTS = 1_000;
/** and projects that are sealed by one. */
const GROUP = 20;
/** Seals of one project after which others have their turn. */
const TURN = 20;

/** Before the id of every project. */
const FIRST_ID = "00000000-0000-0000-0000-000000000000";

/**
 * The projects behind $1 of which there is something to seal, up to $2 projects being looked at: a step through the primary key for each, and a look at
 * its end and at the end of its seals. `last` is the last of those looked at.
 */
const FIND: Statement = {
  name: "audit_find_unsealed",
  text: `
    with recursive projects (project_id, count) as (
      (select project_id, 1 from audit_entries where project_id > $1 order by project_id limit 1)
      union all
      select (select e.project_id from audit_entries e where e.project_id > p.project_id order by e.project_id limit 1), p.count + 1
      from projects p where p.project_id is not null and p.count < $2
    ), looked as (
      select p.project_id, exists (
        select from audit_entries e where e.project_id = p.project_id and e.transaction_id < ${HORIZON}
        and (e.transaction_id, e.sequence) > (coalesce(s.transaction_id, '0'::xid8), coalesce(s.sequence, 0))) as unsealed
      from projects p left join lateral (
        select transaction_id, sequence from audit_seals where project_id = p.project_id order by number desc limit 1) s on true
      where p.project_id is not null
    )
    select array(select project_id::text from looked where unsealed) as unsealed, 
      (select project_id::text from looked order by looked.project_id desc limit 1) as last`,
};

/** The last seals of the projects $1. */
const LAST_SEALS: Statement = {
  name: "audit_last_seals",
  text: `
    select s.* from unnest($1::uuid[]) p (id)
    cross join lateral (
      select ${SEAL_SQL} from audit_seals where project_id = p.id order by audit_seals.number desc limit 1) s`,
};

/** The next entries of the projects $1, behind the places $2, $3. */
const UNSEALED: Statement = {
  name: "audit_unsealed",
  text: `
    select e.* from unnest($1::uuid[], $2::xid8[], $3::bigint[]) p (id, after_transaction, after_sequence)
    cross join lateral (
      select ${ENTRY_SQL} from audit_entries
      where project_id = p.id and (transaction_id, sequence) > (p.after_transaction, p.after_sequence) and transaction_id < ${HORIZON}
      order by audit_entries.transaction_id, audit_entries.sequence limit ${PAGE}) e`,
};

/** Of processes that seal a project at once one is first: the others find the number taken. */
const INSERT: Statement = {
  name: "audit_insert_seals",
  text: `
    insert into audit_seals (project_id, number, transaction_id, sequence, entries, first_time, last_time, digest, chain, key_id, seal_time)
    select n.* from unnest($1::uuid[], $2::bigint[], $3::xid8[], $4::bigint[], $5::integer[], $6::timestamptz[], $7::timestamptz[], $8::bytea[],
      $9::bytea[], $10::text[], $11::timestamptz[]) as n (project_id, number, transaction_id, sequence, entries, first_time, last_time, digest, chain,
      key_id, seal_time)
    where coalesce((select max(number) from audit_seals s where s.project_id = n.project_id), 0) = n.number - 1
    on conflict do nothing returning project_id::text as id`,
};

interface Found extends Record<string, unknown> {
  readonly unsealed: readonly string[];
  readonly last: string | null;
}

/**
 * Seals the entries of every project that are behind the settled horizon: nothing is ever added before them. In batches, each by a
 * statement of its own; by any number of processes at once.
 */
export async function sealAudit(ports: SealPorts, signal: AbortSignal): Promise<void> {
  for (let again = true; again; ) {
    again = false;
    for (let after: string | null = FIRST_ID; after !== null; ) {
      const found: Found | undefined = (await query<Found>(ports.db.pool, FIND, [after, PROJECTS], signal))[0];
      const unsealed = found?.unsealed ?? [];
      for (let start = 0; start < unsealed.length; start += GROUP)
        again = (await sealGroup(ports, unsealed.slice(start, start + GROUP), signal)) || again;
      after = found?.last ?? null;
    }
  }
}

/** Seals what there is of some projects, within their turn. Whether there may be more. */
async function sealGroup(ports: SealPorts, group: readonly string[], signal: AbortSignal): Promise<boolean> {
  let left = group;
  for (let turn = 0; turn < TURN && left.length > 0; turn++) left = await sealOnce(ports, left, signal);
  return left.length > 0;
}

/** Makes a seal of each project. Gives those of which there may be more to seal. */
async function sealOnce(
  { db, clock, keys }: SealPorts,
  projectIds: readonly string[],
  signal: AbortSignal,
): Promise<string[]> {
  const { last, entries } = await readConsistently(db.pool, (run) => readUnsealed(run, projectIds), signal);
  const byProject = [...Map.groupBy(entries, (entry) => entry["project_id"] ?? "")];
  const now = clock.now();
  const seals = byProject.map(([projectId, its]) =>
    sealEntries(keys, { projectId, last: last.get(projectId), entries: its, now }),
  );
  if (seals.length === 0) return [];
  const made = await query<{ id: string }>(db.pool, INSERT, valuesOf(seals), signal);
  const ids = new Set(made.map(({ id }) => id));
  return seals.filter((seal) => seal.entries === PAGE && ids.has(seal.projectId)).map(({ projectId }) => projectId);
}

async function readUnsealed(run: RunStatement, projectIds: readonly string[]) {
  const found = (await run(LAST_SEALS, [projectIds])).map(sealOf);
  const last = new Map(found.map((seal) => [seal.projectId, seal]));
  const places = projectIds.map((id) => last.get(id) ?? START);
  const after = [places.map(({ transactionId }) => transactionId), places.map(({ sequence }) => sequence)];
  return { last, entries: await run<EntryContent>(UNSEALED, [projectIds, ...after]) };
}

interface ToSeal {
  readonly projectId: string;
  /** The seal before; undefined: there is none. */
  readonly last: Pick<Seal, "number" | "chain" | "lastTime"> | undefined;
  /** In their order; at least one. */
  readonly entries: readonly EntryContent[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The seal of entries. */
export function sealEntries(keys: SealKeys, { projectId, last, entries, now }: ToSeal): Seal {
  const mac = keys.mac(keys.current, "entries");
  for (const entry of entries) mac.add(entryBytes(entry));
  const times = entries.map((entry) => Number(entry["create_time"]) / 1_000).filter(isDate);
  const seal: SealContent & Place = {
    projectId,
    number: String(BigInt(last?.number ?? 0) + 1n),
    ...placeOf(entries.at(-1)),
    entries: entries.length,
    firstTime: inMicroseconds(Math.floor(Math.min(now, ...times))),
    lastTime: inMicroseconds(Math.ceil(Math.max(Number(last?.lastTime ?? 0) / 1_000, ...times))),
    digest: mac.end(),
    keyId: keys.current,
    sealTime: inMicroseconds(now),
  };
  return { ...seal, chain: chainOf(keys, seal, last?.chain ?? NO_CHAIN), pruning: null };
}

/** The years 1 to 9999, which are all that a Timestamp has. */
const isDate = (ms: number): boolean => ms >= -62_135_596_800_000 && ms < 253_402_300_800_000;
const inMicroseconds = (ms: number): string => String(BigInt(ms) * 1_000n);
const dateOf = (microseconds: string): Date => new Date(Number(BigInt(microseconds) / 1_000n));

/** A list of values for each column. */
const valuesOf = (seals: readonly Seal[]): unknown[] => [
  seals.map(({ projectId }) => projectId),
  seals.map(({ number }) => number),
  seals.map(({ transactionId }) => transactionId),
  seals.map(({ sequence }) => sequence),
  seals.map(({ entries }) => entries),
  seals.map(({ firstTime }) => dateOf(firstTime)),
  seals.map(({ lastTime }) => dateOf(lastTime)),
  seals.map(({ digest }) => digest),
  seals.map(({ chain }) => chain),
  seals.map(({ keyId }) => keyId),
  seals.map(({ sealTime }) => dateOf(sealTime)),
];
