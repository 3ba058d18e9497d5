import { defineEntity, p } from "@mikro-orm/core";

/** Something that happened in a project. Read in the order of (transaction_id, sequence), never beyond the settled horizon. */
export const EventEntity = defineEntity({
  name: "Event",
  tableName: "events",
  properties: {
    projectId: p.uuid().primary(),
    /** Its place: its own transaction, or the last one that had been committed when it was written, if that began later. */
    transactionId: p.string().columnType("xid8").primary().defaultRaw("event_place()"),
    sequence: p.bigint("number").autoincrement().primary().generated("identity"),
    id: p.uuid(),
    type: p.text(),
    userId: p.uuid().nullable(),
    data: p.json<object>(),
    origin: p.text().nullable(),
    createTime: p.datetime(),
    /** Its own transaction; null: that of its place. */
    writtenIn: p.string().columnType("xid8").nullable().defaultRaw("pg_current_xact_id()"),
  },
  indexes: [
    {
      name: "events_of_user",
      expression:
        "create index events_of_user on events (project_id, user_id, transaction_id, sequence) where user_id is not null",
    },
  ],
  uniques: [{ name: "events_id", properties: ["projectId", "id"] }],
});
