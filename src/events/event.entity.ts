import { defineEntity, p } from "@mikro-orm/core";

/** Something that happened in a project. Read in the order of (transaction, sequence), never beyond the settled horizon. */
export const EventEntity = defineEntity({
  name: "Event",
  tableName: "events",
  properties: {
    projectId: p.uuid().primary(),
    transactionId: p.string().columnType("xid8").primary().defaultRaw("pg_current_xact_id()"),
    sequence: p.bigint("number").autoincrement().primary().generated("identity"),
    id: p.uuid(),
    type: p.text(),
    userId: p.uuid().nullable(),
    data: p.json<object>(),
    origin: p.text().nullable(),
    createTime: p.datetime(),
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
