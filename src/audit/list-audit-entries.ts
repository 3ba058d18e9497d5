import type { Database } from "../db/orm.ts";
import { type RunStatement, readConsistently } from "../db/read-consistently.ts";
import type { PageTokens } from "../page-tokens.ts";

export interface ListAuditPorts {
  readonly db: Database;
  readonly pageTokens: PageTokens;
}

/** What is set has to hold for an entry. */
export interface AuditFilter {
  readonly userId?: string | undefined;
  readonly actorKind?: string | undefined;
  readonly actorId?: string | undefined;
  readonly method?: string | undefined;
  /** The earliest `create_time`. */
  readonly afterTime?: Date | undefined;
  /** What `create_time` comes before. */
  readonly beforeTime?: Date | undefined;
}

export interface ListAuditInput {
  readonly filter: AuditFilter;
  /** 0–1,000; 0: 50. */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

/** An entry as it is listed. */
export interface AuditRecord {
  readonly transactionId: string;
  readonly sequence: string;
  readonly createTime: Date;
  readonly method: string;
  readonly actorKind: string;
  readonly actorId: string | null;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly origin: string | null;
  readonly userId: string | null;
  readonly target: string | null;
  readonly details: object | null;
  readonly sealed: boolean;
}

const DEFAULT_PAGE = 50;
/** Entries that are looked through for one page. */
const MOST_LOOKED = 10_000;
/** Seals that are looked through for where a time begins: some days at their most. */
const MOST_SEALS = 50_000;
/** Behind every place. */
const END = ["18446744073709551615", "9223372036854775807"] as const;

/**
 * A page of the entries of a project that are committed, the newest first. REQUEST_INVALID for a page token of another query; STORAGE_UNAVAILABLE.
 */
export async function listAuditEntries(
  { db, pageTokens }: ListAuditPorts,
  { projectId, signal }: { readonly projectId: string; readonly signal?: AbortSignal | undefined },
  { filter, pageSize, pageToken }: ListAuditInput,
): Promise<{ entries: AuditRecord[]; nextPageToken: string }> {
  const size = pageSize || DEFAULT_PAGE;
  const { userId, actorKind, actorId, method, afterTime, beforeTime } = filter;
  const times = [afterTime?.getTime() ?? null, beforeTime?.getTime() ?? null];
  const query = [userId ?? null, actorKind ?? null, actorId ?? null, method ?? null, ...times];
  const context = { list: "audit entries", projectId, query };
  const before = pageToken ? pageTokens.read(context, pageToken) : END;
  const work = (run: RunStatement) => readPage(run, projectId, filter, before, size);
  const { entries, next } = await readConsistently(db.pool, work, signal);
  return { entries, nextPageToken: next ? pageTokens.issue(context, next) : "" };
}

async function readPage(
  run: RunStatement,
  projectId: string,
  filter: AuditFilter,
  before: readonly (string | null)[],
  size: number,
): Promise<{ entries: AuditRecord[]; next: [string, string] | undefined }> {
  const values: unknown[] = [projectId, ...before];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  const looked = `
    from audit_entries where project_id = $1 and (transaction_id, sequence) < ($2::xid8, $3::bigint)
      ${filter.userId ? `and user_id = ${parameter(filter.userId)}` : ""}
      ${filter.afterTime ? `and (transaction_id, sequence) > ${placeBefore(parameter(filter.afterTime))}` : ""}
    order by audit_entries.transaction_id desc, audit_entries.sequence desc`;
  const lookedValues = [...values];
  const text = `
    select ${COLUMNS} from (select * ${looked} limit ${MOST_LOOKED}) looked ${conditionOf(filter, parameter)}
    order by looked.transaction_id desc, looked.sequence desc limit ${size + 1}`;
  const found = await run<AuditRecord>({ text }, values);
  const entries = found.slice(0, size);
  const last = entries.at(-1);
  if (found.length > size && last) return { entries, next: [last.transactionId, last.sequence] };
  const place = `select transaction_id::text, sequence::text ${looked} offset ${MOST_LOOKED - 1} limit 1`;
  const [end] = await run<{ transaction_id: string; sequence: string }>({ text: place }, lookedValues);
  return { entries, next: end && [end.transaction_id, end.sequence] };
}

const COLUMNS = `
  looked.transaction_id::text as "transactionId", looked.sequence::text as sequence, create_time as "createTime", method, actor_kind as "actorKind",
  actor_id as "actorId", address, request_id as "requestId", origin, user_id as "userId", target, details,
  coalesce((looked.transaction_id, looked.sequence) <= (
    select transaction_id, sequence from audit_seals where project_id = $1 order by number desc limit 1), false) as sealed`;

/** Where the entries end that were all made before a time, as their seals say. */
const placeBefore = (time: string): string => `(
  coalesce((select transaction_id from ${sealedBefore(time)}), '0'::xid8), coalesce((select sequence from ${sealedBefore(time)}), 0))`;
const sealedBefore = (time: string): string => `(
  select transaction_id, sequence from (
    select number, transaction_id, sequence, last_time from audit_seals where project_id = $1 order by number desc limit ${MOST_SEALS}) s
  where last_time < ${time}::timestamptz order by number desc limit 1) b`;

function conditionOf(
  { actorKind, actorId, method, afterTime, beforeTime }: AuditFilter,
  parameter: (value: unknown) => string,
): string {
  const conditions = [
    actorKind && `actor_kind = ${parameter(actorKind)}`,
    actorId && `actor_id = ${parameter(actorId)}`,
    method && `method = ${parameter(method)}`,
    afterTime && `create_time >= ${parameter(afterTime)}::timestamptz`,
    beforeTime && `create_time < ${parameter(beforeTime)}::timestamptz`,
  ].filter(Boolean);
  return conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
}
