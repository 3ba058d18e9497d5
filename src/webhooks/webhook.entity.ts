import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** What a delivery says of an event: all of it, or its ids only. */
export type WebhookPayload = "FULL" | "THIN";

/** Why a webhook gets nothing: somebody said so, its receiver is gone for good (410), or it failed for too long. */
export type DisabledCause = "REQUESTED" | "GONE" | "FAILING";

/** Where the events of a project are sent to. */
export const WebhookEntity = defineEntity({
  name: "Webhook",
  tableName: "webhooks",
  properties: {
    projectId: p.uuid().primary(),
    id: p.uuid().primary(),
    url: p.text(),
    description: p.text(),
    /** Types, or all of a prefix: `user.*`. Empty: all that need not be asked for. */
    eventTypes: p.array(),
    payload: p.text().$type<WebhookPayload>(),
    /** The most deliveries that are under way to it at once. */
    maxConcurrency: p.integer(),
    /** The secret that signs and, until its end, the one before: a JSON array of base64, sealed. */
    sealedSecrets: p.blob(),
    /** Until when the secret before signs as well; null: there is none. */
    previousSecretUntil: p.datetime().nullable(),
    disabled: p.boolean(),
    /** Both null unless it is disabled. */
    disabledCause: p.text().$type<DisabledCause>().nullable(),
    disabledTime: p.datetime().nullable(),
    /** Since when no delivery has succeeded; null: the last one did, or there was none. */
    failingSince: p.datetime().nullable(),
    /** Until when nothing is sent to it, because it asked for that. */
    resumeTime: p.datetime().nullable(),
    /** What had been committed when it was made, or enabled again: events that were written in transactions which are visible in it are not sent. */
    since: p.string().columnType("pg_snapshot").defaultRaw("pg_current_snapshot()"),
    /** Up to where the project's history was read for it, a place as readers of events have it. */
    cursorTransactionId: p.string().columnType("xid8").defaultRaw("pg_snapshot_xmin(pg_current_snapshot())"),
    cursorSequence: p.bigint("number").defaultRaw("0"),
    createTime: p.datetime(),
    updateTime: p.datetime(),
    /** Counts the changes that are seen from outside; those of the cursor and of `failingSince` are not. */
    version: p.integer().default(1),
  },
  indexes: [
    {
      name: "webhooks_sealing",
      expression: "create index webhooks_sealing on webhooks (substring(sealed_secrets from 1 for 5), project_id, id)",
    },
  ],
});
export type WebhookEntity = InferEntity<typeof WebhookEntity>;
