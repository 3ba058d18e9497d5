import { query } from "../db/statement.ts";
import type { ExportScope, JsonMap, ListSection } from "../export/export-section.ts";

const PAGE_ROWS = 100;
const HOW = "how sending goes, which is nothing of the user";

interface Row extends Record<string, unknown> {
  readonly place: readonly [transactionId: string, sequence: string, webhookId: string];
  readonly told: JsonMap;
}

/** By the user's events, so that rows need no index by user. $1 project, $2 user, $3 to $5 the place before. */
const PAGE = `
  select array[e.transaction_id::text, e.sequence::text, d.webhook_id::text] as place,
    jsonb_build_object('event_id', d.event_id, 'event_type', d.event_type, 'webhook_id', d.webhook_id, 'state', d.state) as told,
    d.create_time as "createTime", d.complete_time as "completeTime"
  from events e join deliveries d on d.project_id = e.project_id and d.event_id = e.id
  where e.project_id = $1 and e.user_id = $2 and (e.transaction_id, e.sequence, d.webhook_id) > ($3::xid8, $4::bigint, $5::uuid)
  order by e.transaction_id, e.sequence, d.webhook_id limit ${PAGE_ROWS}`;

interface DeliveryRow extends Row {
  readonly createTime: Date;
  readonly completeTime: Date | null;
}

/** Where events about a user were sent to, in the order of the events, as long as both are kept. */
export const DELIVERIES_EXPORT: ListSection = {
  kind: "list",
  name: "deliveries",
  tables: {
    deliveries: {
      exported: ["event_id", "event_type", "webhook_id", "state", "create_time", "complete_time"],
      withheld: {
        position: "the order of sending",
        ready: HOW,
        next_attempt_time: HOW,
        run_id: HOW,
        attempt_count: HOW,
        first_attempt_time: HOW,
        attempts: HOW,
        failure: HOW,
      },
    },
  },
  async *pages({ db, projectId, signal }: ExportScope, userId) {
    for (let after: readonly string[] = ["0", "0", "00000000-0000-0000-0000-000000000000"]; ; ) {
      const rows = await query<DeliveryRow>(db.pool, { text: PAGE }, [projectId, userId, ...after], signal);
      if (rows.length > 0)
        yield rows.map(({ told, createTime, completeTime }) => ({
          ...told,
          create_time: createTime.toISOString(),
          ...(completeTime && { complete_time: completeTime.toISOString() }),
        }));
      if (rows.length < PAGE_ROWS) return;
      after = rows.at(-1)?.place ?? [];
    }
  },
};
