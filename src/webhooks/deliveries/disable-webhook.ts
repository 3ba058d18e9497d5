import { appendAuditSql } from "../../audit/append-audit.ts";
import { recorded } from "../../db/recorded.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../../events/append-event.ts";

/**
 * Disables a webhook, with `webhook.disabled` and an entry of it: $1 project, $2 webhook, $3 cause, $4 now, $5 the event's id. The URL is not told:
 * it may hold a secret, and others receive the event.
 */
export const DISABLE = recorded({
  name: "deliveries_disable",
  text: `
    with gone as (
      update webhooks set disabled = true, disabled_cause = $3, disabled_time = $4::timestamptz, update_time = $4::timestamptz,
        version = version + 1
      where project_id = $1 and id = $2 and not disabled
      returning *
    ), event as (${appendEventSql({
      from: "gone",
      projectId: "gone.project_id",
      id: "$5::uuid",
      type: "webhook.disabled",
      userId: "null::uuid",
      data: `jsonb_build_object('webhook_id', gone.id, 'cause', 'WEBHOOK_DISABLED_CAUSE_' || gone.disabled_cause)`,
      createTime: "gone.disabled_time",
      origin: ORIGIN_OF_ACT,
    })}
    ), entry as (${appendAuditSql({
      from: "gone",
      projectId: "gone.project_id",
      target: "'webhook/' || gone.id",
      details: "jsonb_build_object('cause', gone.disabled_cause)",
      createTime: "gone.disabled_time",
    })}
    )
    select id from gone`,
});
