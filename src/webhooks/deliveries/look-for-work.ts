import type { Database } from "../../db/orm.ts";
import { query, type Statement } from "../../db/statement.ts";

/** A webhook that there may be something to do for. */
export interface WebhookWork {
  readonly projectId: string;
  readonly webhookId: string;
  readonly disabled: boolean;
  /** Whether events are settled that were not read for it. */
  readonly hasEvents: boolean;
  /** Whether events are committed that are not settled: there will be something to read in a moment. */
  readonly isUnsettled: boolean;
  /** When the next attempt may be made, unless deliveries that are under way end before; null: none is to be made. */
  readonly nextAttemptTime: Date | null;
}

/** $1 projects, null: all of them. A webhook costs two or three looks into indexes. */
const LOOK: Statement = {
  name: "deliveries_look",
  text: `
    with horizon as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xmin)
    select w.project_id as "projectId", w.id as "webhookId", w.disabled,
      not w.disabled and exists (
        select from events e where e.project_id = w.project_id and e.transaction_id < h.xmin
          and (e.transaction_id, e.sequence) > (w.cursor_transaction_id, w.cursor_sequence)) as "hasEvents",
      not w.disabled and exists (
        select from events e where e.project_id = w.project_id and e.transaction_id >= h.xmin) as "isUnsettled",
      (select greatest(min(d.next_attempt_time), w.resume_time) from deliveries d
        where d.project_id = w.project_id and d.webhook_id = w.id and d.ready) as "nextAttemptTime"
    from webhooks w cross join horizon h
    where $1::uuid[] is null or w.project_id = any ($1)`,
};

/** The webhooks of some projects, or of all, and what there is to do for them. */
export const lookForWork = (db: Database, projectIds: readonly string[] | null): Promise<WebhookWork[]> =>
  query<WebhookWork & Record<string, unknown>>(db.pool, LOOK, [projectIds]);
