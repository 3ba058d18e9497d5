import { defineEntity, p } from "@mikro-orm/core";

/** That the entries of a project behind the seal before, up to a place, are those that were there when it was made. */
export const AuditSealEntity = defineEntity({
  name: "AuditSeal",
  tableName: "audit_seals",
  properties: {
    projectId: p.uuid().primary(),
    number: p.bigint("number").primary(),
    /** The place of the last entry. */
    transactionId: p.string().columnType("xid8"),
    sequence: p.bigint("number"),
    entries: p.integer(),
    /** The earliest `create_time` of the entries. */
    firstTime: p.datetime(),
    /** The latest `create_time` of all entries up to here. */
    lastTime: p.datetime(),
    digest: p.blob(),
    chain: p.blob(),
    keyId: p.text(),
    sealTime: p.datetime(),
    /** Of the last seal whose entries were removed: how many that were of the project in all, when, and what proves it. */
    prunedEntries: p.bigint("number").nullable(),
    pruneTime: p.datetime().nullable(),
    pruneKeyId: p.text().nullable(),
    pruneMac: p.blob().nullable(),
  },
});
