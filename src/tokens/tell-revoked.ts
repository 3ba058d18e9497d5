import { appendAuditSql } from "../audit/append-audit.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../events/append-event.ts";

/**
 * The entry of each token of the rows `revoked` (project_id, id, user_id), and `token.revoked` of those that `where` holds for, as parts of
 * the `with` of a recorded statement. The arguments are SQL.
 */
export const tellRevokedSql = ({ where, eventId, now }: { where: string; eventId: string; now: string }): string => `
    event as (${appendEventSql({
      from: "revoked join users holder on holder.project_id = revoked.project_id and holder.id = revoked.user_id",
      where,
      projectId: "revoked.project_id",
      id: eventId,
      type: "token.revoked",
      userId: "revoked.user_id",
      data: `jsonb_build_object('token_id', revoked.id, 'user_id', revoked.user_id, 'external_id', holder.external_id)`,
      createTime: now,
      origin: ORIGIN_OF_ACT,
    })}), audit as (${appendAuditSql({
      from: "revoked",
      projectId: "revoked.project_id",
      userId: "revoked.user_id",
      target: "'token/' || revoked.id",
      details: `'{"revoked": true}'::jsonb`,
      createTime: now,
    })})`;
