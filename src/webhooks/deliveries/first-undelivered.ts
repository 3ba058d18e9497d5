import type { Database } from "../../db/orm.ts";
import { query, type Statement } from "../../db/statement.ts";
import type { EventCursor } from "../../events/read-events.ts";

/** $1 project. */
const FIRST: Statement = {
  name: "deliveries_first_undelivered",
  text: `
    select e.transaction_id::text as "transactionId", e.sequence
    from webhooks w
    join deliveries d on d.project_id = w.project_id and d.webhook_id = w.id and d.state = 'PENDING'
    join events e on e.project_id = d.project_id and e.id = d.event_id
    where w.project_id = $1
    order by e.transaction_id, e.sequence limit 1`,
};

/** The first event of a project that has yet to be delivered somewhere, if any: a delivery is made from its event each time it is sent. */
export async function firstUndelivered(
  { pool }: Pick<Database, "pool">,
  projectId: string,
  signal: AbortSignal,
): Promise<EventCursor | undefined> {
  const [first] = await query<EventCursor & Record<string, unknown>>(pool, FIRST, [projectId], signal);
  return first;
}
