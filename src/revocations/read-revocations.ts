import { lookUp } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import { type NamedStatement, query } from "../db/statement.ts";
import type { Revocation, RevocationCause, RevocationSubject } from "./revocation.ts";

/**
 * How far somebody has read. A snapshot of Postgres (`pg_snapshot`) says exactly which transactions had been committed, so that reading
 * what was not in it skips nothing that commits late, and waits for no transaction that is still running: a cursor by sequence does the
 * one, one that stops at the settled horizon the other.
 */
export interface RevocationCursor {
  /** What was committed in it has been read. */
  readonly seen: string;
  /** Unless all of a reading has been taken: the snapshot it is of, and the last row that was. */
  readonly within?: { readonly snapshot: string; readonly transactionId: string; readonly sequence: number };
}

/** Before every revocation. */
export const BEGINNING: RevocationCursor = { seen: "1:1:" };

/** A revocation, and the cursor of one who has read so far. */
export interface ReadRevocation extends Revocation {
  readonly cursor: RevocationCursor;
}

/** Some revocations after a cursor. */
export interface RevocationPage {
  readonly revocations: readonly ReadRevocation[];
  /** Where the next read goes on. */
  readonly next: RevocationCursor;
  /** Whether there are more already. */
  readonly more: boolean;
}

/** $1 what was seen, $2 and $3 the last row, $4 the snapshot of the reading (null: now), $5 limit, $6 what is forgotten, $7 project. */
const readSql = (whose: string): string => `
  with page as materialized (
    select project_id as "projectId", transaction_id, sequence, token_id as "tokenId", session_id as "sessionId", user_id as "userId",
      before_time as "beforeTime", key_id as "keyId", access_key_id as "accessKeyId", cause, forget_after_time as "forgetAfterTime"
    from revocations
    where ${whose} transaction_id >= pg_snapshot_xmin($1::pg_snapshot) and not pg_visible_in_snapshot(transaction_id, $1::pg_snapshot)
      and (transaction_id, sequence) > ($2::xid8, $3::bigint) and forget_after_time > $6
      and ($4::pg_snapshot is null or pg_visible_in_snapshot(transaction_id, $4::pg_snapshot))
    order by transaction_id, sequence limit $5
  )
  select pg_current_snapshot()::text as snapshot, page.transaction_id::text as "transactionId", page.*
  from (select) one left join page on true order by page.transaction_id, page.sequence`;

const OF_ALL: NamedStatement = { name: "revocations_read", text: readSql("") };
const OF_PROJECT: NamedStatement = { name: "revocations_read_of_project", text: readSql("project_id = $7 and") };
const NOW: NamedStatement = { name: "revocations_now", text: "select pg_current_snapshot()::text as snapshot" };

interface Row {
  snapshot: string;
  projectId: string | null;
  transactionId: string;
  sequence: number;
  tokenId: string | null;
  sessionId: string | null;
  userId: string | null;
  beforeTime: Date | null;
  keyId: string | null;
  accessKeyId: string | null;
  cause: RevocationCause;
  forgetAfterTime: Date;
}

/** The cursor of one who has read all there is. STORAGE_UNAVAILABLE. */
export async function currentCursor(db: Database): Promise<RevocationCursor> {
  const [row] = await query<{ snapshot: string }>(db.pool, NOW, []);
  return { seen: row?.snapshot ?? BEGINNING.seen };
}

/**
 * At most `limit` revocations after `cursor`, in the order of their transactions; without a project those of all. What is past its
 * `forgetAfterTime` at `nowMs` is left out. STORAGE_UNAVAILABLE.
 */
export async function readRevocations(
  db: Database,
  { projectId, signal }: { readonly projectId?: string; readonly signal?: AbortSignal | undefined },
  cursor: RevocationCursor,
  { limit, nowMs }: { readonly limit: number; readonly nowMs: number },
): Promise<RevocationPage> {
  const { seen, within } = cursor;
  const position = [within?.transactionId ?? "0", within?.sequence ?? 0, within?.snapshot ?? null];
  const values = [seen, ...position, limit, new Date(nowMs), ...(projectId === undefined ? [] : [projectId])];
  // What every server waits for is not held up by what keeps the pool busy; the streams of others may be many.
  const reading =
    projectId === undefined
      ? lookUp<Row & Record<string, unknown>>(db, OF_ALL, values, signal)
      : query<Row & Record<string, unknown>>(db.pool, OF_PROJECT, values, signal);
  const rows = await reading;
  const now = rows[0]?.snapshot ?? seen;
  // The server has forgotten transactions, as one does that takes over without the latest: what came again in their place looks seen.
  if (nextTransaction(now) < nextTransaction(seen))
    return { revocations: [], next: BEGINNING, more: cursor !== BEGINNING };
  const snapshot = within?.snapshot ?? now;
  const found = rows.filter(({ projectId: its }) => its !== null);
  const full = found.length === limit;
  const revocations = found.map((row, index): ReadRevocation => {
    const isLast = !full && index === found.length - 1;
    const { transactionId, sequence } = row;
    return {
      projectId: row.projectId as string,
      subject: subjectOf(row),
      cause: row.cause,
      forgetAfterTime: row.forgetAfterTime,
      cursor: isLast ? { seen: snapshot } : { seen, within: { snapshot, transactionId, sequence } },
    };
  });
  // A reading that was begun earlier does not show what was committed since.
  return { revocations, next: revocations.at(-1)?.cursor ?? { seen: snapshot }, more: full || within !== undefined };
}

/** The first transaction that had not begun. */
const nextTransaction = (snapshot: string): bigint => BigInt(snapshot.split(":")[1] ?? 0);

function subjectOf({ tokenId, sessionId, userId, beforeTime, keyId, accessKeyId }: Row): RevocationSubject {
  if (tokenId) return { tokenId };
  if (sessionId) return { sessionId };
  if (userId && beforeTime) return { userId, beforeTime };
  if (keyId) return { keyId };
  return accessKeyId ? { accessKeyId } : { wholeProject: true };
}
