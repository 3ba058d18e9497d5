import { appendAuditSql } from "../../audit/append-audit.ts";
import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import { recorded, type WriteScope } from "../../db/recorded.ts";
import type { Statement } from "../../db/statement.ts";
import { inSteps, type Step } from "../../db/steps.ts";
import { MusterError } from "../../errors.ts";
import type { EventCursor } from "../../events/read-events.ts";
import type { PageTokens } from "../../page-tokens.ts";
import { placeBefore, SLACK_MS } from "./place-of-time.ts";
import { PAGE, READY, wantsSql } from "./turn-statements.ts";

export interface RedeliverPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly pageTokens: PageTokens;
}

/** The events of a time. */
export interface RedeliverRange {
  readonly fromMs: number;
  /** Those from this time on are not meant. */
  readonly toMs: number;
  /** Empty: those that the webhook gets. */
  readonly types: readonly string[];
  readonly onlyUndelivered: boolean;
}

export interface RedeliverInput {
  readonly webhookId: string;
  /** The id of one event, or the events of a time. */
  readonly which: string | RedeliverRange;
  /** Empty: from the beginning of the range. */
  readonly pageToken: string;
}

export interface Redelivered {
  readonly deliveryCount: number;
  /** Empty: that was all. */
  readonly nextPageToken: string;
}

const LOCK: Statement = {
  name: "redeliver_lock",
  text: "select disabled from webhooks where project_id = $1 and id = $2 for no key update",
};

/** Makes deliveries of `wanted` (id, type, user_id) pending, but for those that are: $1 project, $2 webhook, $3 now. */
const MAKE = `
  insert into deliveries as d (project_id, event_id, webhook_id, event_type, user_id, state, ready, next_attempt_time, create_time)
  select $1, id, $2, type, user_id, 'PENDING', user_id is null, $3::timestamptz, $3::timestamptz
  from wanted order by transaction_id, sequence
  on conflict (project_id, event_id, webhook_id) do update set position = default, state = 'PENDING', ready = excluded.ready,
    failure = null, run_id = null, next_attempt_time = excluded.next_attempt_time, attempt_count = 0, first_attempt_time = null,
    create_time = excluded.create_time, complete_time = null
  where d.state <> 'PENDING'
  returning 1`;

/** $4 the event. */
const REDELIVER_ONE: Statement = {
  name: "redeliver_one",
  text: `
    with wanted as (select id, type, user_id, transaction_id, sequence from events where project_id = $1 and id = $4),
    made as (${MAKE})
    select (select count(*)::int from wanted) as read, (select count(*)::int from made) as made`,
};

/** $4 and $5 the place before, $6 and $7 the time, $8 types, null: those of the webhook, $9 whether those that succeeded are left out. */
const REDELIVER_SOME: Statement = {
  name: "redeliver_some",
  text: `
    with page as materialized (
      select id, type, user_id, transaction_id, sequence, create_time from events
      where project_id = $1 and (transaction_id, sequence) > ($4::xid8, $5::bigint)
        and transaction_id < pg_snapshot_xmin(pg_current_snapshot())
      order by transaction_id, sequence limit ${PAGE}
    ), wanted as (
      select p.* from page p join webhooks w on w.project_id = $1 and w.id = $2
      where p.create_time >= $6::timestamptz and p.create_time < $7::timestamptz
        and ${wantsSql("coalesce($8::text[], w.event_types)", "p.type")}
        and not ($9::boolean and exists (select from deliveries s
          where s.project_id = $1 and s.event_id = p.id and s.webhook_id = $2 and s.state = 'SUCCEEDED'))
    ), made as (${MAKE})
    select (select count(*)::int from page) as read, (select count(*)::int from made) as made,
      last.transaction_id::text as "transactionId", last.sequence, last.create_time as "createTime"
    from (select * from page order by transaction_id desc, sequence desc limit 1) last`,
};

/** $1 project, $2 webhook, $3 now, $4 how many. */
const RECORD = recorded({
  name: "redeliver_record",
  text: appendAuditSql({
    from: "(select $1::uuid as project_id, $2::uuid as id, $3::timestamptz as now, $4::int as count) done",
    projectId: "done.project_id",
    target: "'webhook/' || done.id",
    details: "jsonb_build_object('redelivered', done.count)",
    createTime: "done.now",
  }),
});

interface Made extends Record<string, unknown> {
  readonly read: number;
  readonly made: number;
}

interface MadeOfPage extends Made, EventCursor {
  readonly createTime: Date;
}

/**
 * Has events delivered to a webhook again, or for the first time, at most a thousand by one call; those that are on their way are left as they are.
 * WEBHOOK_NOT_FOUND, WEBHOOK_DISABLED, EVENT_NOT_FOUND; REQUEST_INVALID for a page token of another range.
 */
export async function redeliverEvent(
  ports: RedeliverPorts,
  scope: WriteScope,
  { webhookId, which, pageToken }: RedeliverInput,
): Promise<Redelivered> {
  const { projectId, act, signal } = scope;
  const context = { list: "redelivery", projectId, query: [webhookId, which] };
  const [transactionId, sequence] = pageToken ? ports.pageTokens.read(context, pageToken) : [];
  const given = transactionId && sequence ? { transactionId, sequence: Number(sequence) } : undefined;
  signal?.throwIfAborted();
  const start = typeof which === "string" ? undefined : (given ?? (await placeBefore(ports.db, scope, which.fromMs)));
  const done = await inSteps(ports.db.pool, async (step) => {
    const now = new Date(ports.clock.now());
    const key = [projectId, webhookId];
    const [webhook] = await step<{ disabled: boolean }>(LOCK, key);
    if (!webhook) throw new MusterError("WEBHOOK_NOT_FOUND");
    if (webhook.disabled) throw new MusterError("WEBHOOK_DISABLED");
    const made =
      start && typeof which !== "string"
        ? await some(step, key, now, start, which)
        : await one(step, key, now, which as string);
    if (made.made === 0) return made;
    await step(READY, key);
    await step(RECORD, [...key, now, made.made, act.facts]);
    return made;
  });
  if (done.made > 0) act.committed(projectId);
  const { next } = done;
  const nextPageToken = next ? ports.pageTokens.issue(context, [next.transactionId, String(next.sequence)]) : "";
  return { deliveryCount: done.made, nextPageToken };
}

async function one(step: Step, key: string[], now: Date, eventId: string): Promise<Made & { next?: EventCursor }> {
  const [made] = await step<Made>(REDELIVER_ONE, [...key, now, eventId]);
  if (!made || made.read === 0) throw new MusterError("EVENT_NOT_FOUND");
  return made;
}

/** The page of events behind a place. There are more unless it is the last page, or its end is past the time. */
async function some(
  step: Step,
  key: string[],
  now: Date,
  { transactionId, sequence }: EventCursor,
  { fromMs, toMs, types, onlyUndelivered }: RedeliverRange,
): Promise<Made & { next?: EventCursor }> {
  const wanted = [new Date(fromMs), new Date(toMs), types.length > 0 ? types : null, onlyUndelivered];
  const [made] = await step<MadeOfPage>(REDELIVER_SOME, [...key, now, transactionId, sequence, ...wanted]);
  if (!made) return { read: 0, made: 0 };
  const isLast = made.read < PAGE || made.createTime.getTime() >= toMs + SLACK_MS;
  return isLast ? made : { ...made, next: made };
}
