import type { Database } from "../../db/orm.ts";
import { query, type Statement } from "../../db/statement.ts";
import type { PageTokens } from "../../page-tokens.ts";
import { getWebhook, type WebhookScope } from "../read-webhooks.ts";
import type { AttemptRecord, DeliveryFailure, DeliveryState } from "./delivery.ts";

export interface ListDeliveriesPorts {
  readonly db: Database;
  readonly pageTokens: PageTokens;
}

export interface ListDeliveriesInput {
  readonly webhookId: string;
  /** Undefined: of all events. */
  readonly eventId: string | undefined;
  /** Undefined: however they stand. */
  readonly state: DeliveryState | undefined;
  /** 0–1,000; 0: 50. */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

/** A delivery as it is listed. */
export interface Delivery {
  readonly webhookId: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly userId: string | null;
  readonly state: DeliveryState;
  readonly failure: DeliveryFailure | null;
  readonly attempts: readonly AttemptRecord[];
  /** When the next attempt is made; null: one is under way, or there is none. */
  readonly nextAttemptTime: Date | null;
  readonly createTime: Date;
  readonly completeTime: Date | null;
}

const DEFAULT_PAGE = 50;
const STATES: readonly DeliveryState[] = ["PENDING", "SUCCEEDED", "FAILED"];
const LAST_POSITION = "9223372036854775807";

const COLUMNS = `webhook_id as "webhookId", event_id as "eventId", event_type as "eventType", user_id as "userId", state, failure, attempts,
  case when state = 'PENDING' and run_id is null then next_attempt_time end as "nextAttemptTime",
  create_time as "createTime", complete_time as "completeTime", position::text`;

/** Each state has its order in the index: $1 project, $2 webhook, $3 states, $4 the position before, $5 limit. */
const LIST: Statement = {
  name: "deliveries_list",
  text: `
    select found.* from unnest($3::text[]) as wanted (state) cross join lateral (
      select ${COLUMNS} from deliveries d
      where project_id = $1 and webhook_id = $2 and d.state = wanted.state and position < $4::bigint
      order by d.position desc limit $5::int) found
    order by found.position::bigint desc limit $5::int`,
};

/** $1 project, $2 webhook, $3 states, $4 the position before, $5 event. */
const GET: Statement = {
  name: "deliveries_get",
  text: `
    select ${COLUMNS} from deliveries
    where project_id = $1 and webhook_id = $2 and event_id = $5 and state = any ($3) and position < $4::bigint`,
};

interface Row extends Delivery, Record<string, unknown> {
  readonly position: string;
}

/** A page of a webhook's deliveries, newest first. WEBHOOK_NOT_FOUND, REQUEST_INVALID for a page token of another list. */
export async function listDeliveries(
  { db, pageTokens }: ListDeliveriesPorts,
  scope: WebhookScope,
  { webhookId, eventId, state, pageSize, pageToken }: ListDeliveriesInput,
): Promise<{ deliveries: readonly Delivery[]; nextPageToken: string }> {
  const { projectId, signal } = scope;
  const context = { list: "deliveries", projectId, query: [webhookId, eventId, state] };
  const [before] = pageToken ? pageTokens.read(context, pageToken) : [LAST_POSITION];
  await getWebhook(db, scope, webhookId);
  const size = pageSize || DEFAULT_PAGE;
  const values = [projectId, webhookId, state ? [state] : STATES, before, eventId ?? size + 1];
  const rows = await query<Row>(db.pool, eventId === undefined ? LIST : GET, values, signal);
  const last = rows.length > size ? rows[size - 1] : undefined;
  return {
    deliveries: rows.slice(0, size),
    nextPageToken: last ? pageTokens.issue(context, [last.position]) : "",
  };
}
