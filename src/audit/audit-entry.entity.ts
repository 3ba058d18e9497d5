import { defineEntity, p } from "@mikro-orm/core";

/** That somebody changed something. Appended to in the change's transaction, never changed; ordered as events are. */
export const AuditEntryEntity = defineEntity({
  name: "AuditEntry",
  tableName: "audit_entries",
  properties: {
    projectId: p.uuid().primary(),
    transactionId: p.string().columnType("xid8").primary().defaultRaw("audit_place(pg_current_xact_id())"),
    sequence: p.bigint("number").autoincrement().primary().generated("identity"),
    createTime: p.datetime(),
    /** The RPC, as `UserService/UpsertUser`, or the job, as `job/guests`. */
    method: p.text(),
    /** `operator`, `system`, `user`, `anonymous` or `server`. */
    actorKind: p.text(),
    actorId: p.text().nullable(),
    address: p.text().nullable(),
    requestId: p.text().nullable(),
    origin: p.text().nullable(),
    /** The user that was changed. */
    userId: p.uuid().nullable(),
    /** What else was, as `session/<id>`. */
    target: p.text().nullable(),
    /** More of what was done; no values that are secret or somebody's own. */
    details: p.json<object>().nullable(),
  },
  indexes: [
    {
      name: "audit_entries_of_user",
      expression:
        "create index audit_entries_of_user on audit_entries (project_id, user_id, transaction_id, sequence) where user_id is not null",
    },
  ],
});
