import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Act } from "../db/act.ts";

/** What an entry says beside who did it: whom or what it was done to. */
export interface NewAuditEntry {
  readonly projectId: string;
  readonly userId?: string | undefined;
  /** What else was changed, as `session/<id>`. */
  readonly target?: string | undefined;
  /** More of what was done; no values that are secret or somebody's own. */
  readonly details?: object | undefined;
  readonly createTime: Date;
}

/** The same, each a piece of SQL over the columns of `from`. */
export interface NewAuditEntrySql {
  readonly from: string;
  readonly where?: string;
  readonly projectId: string;
  readonly userId?: string;
  readonly target?: string;
  readonly details?: string;
  readonly createTime: string;
}

const COLUMNS =
  "project_id, create_time, method, actor_kind, actor_id, address, request_id, origin, user_id, target, details";
const factsSql = (act: string): string =>
  ["method", "actor_kind", "actor_id", "address", "request_id", "origin"]
    .map((fact) => `${act} ->> '${fact}'`)
    .join(", ");

/** Appends an entry in the transaction of `em`: it exists if and only if the change does. */
export async function appendAudit(em: SqlEntityManager, { facts }: Act, entry: NewAuditEntry): Promise<void> {
  await em.execute(
    `insert into audit_entries (${COLUMNS})
     select ?::uuid, ?::timestamptz, ${factsSql("act.facts")}, ?::uuid, ?::text, ?::jsonb from (select ?::jsonb as facts) act`,
    [
      entry.projectId,
      entry.createTime,
      entry.userId ?? null,
      entry.target ?? null,
      entry.details === undefined ? null : JSON.stringify(entry.details),
      facts,
    ],
  );
}

/** `appendAudit` for a recorded statement: the SQL that appends one entry per row of `from`, as a part of a `with`. */
export const appendAuditSql = (entry: NewAuditEntrySql): string => `
  insert into audit_entries (${COLUMNS})
  select ${entry.projectId}, ${entry.createTime}, ${factsSql("$act")}, ${entry.userId ?? "null::uuid"}, ${entry.target ?? "null"},
    ${entry.details ?? "null::jsonb"}
  from ${entry.from} ${entry.where ? `where ${entry.where}` : ""}`;
