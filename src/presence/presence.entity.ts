import { defineEntity, p } from "@mikro-orm/core";

/** What was last set for a user: a row is rewritten in place and goes with its user. Only statements read and write it. */
export const PresenceEntity = defineEntity({
  name: "Presence",
  tableName: "presences",
  properties: {
    projectId: p.uuid().primary(),
    userId: p.uuid().primary(),
    /** Strictly rising per user: microseconds of this server's clock, or one more than the last. */
    rev: p.bigint("number"),
    /** The times are microseconds of this server's clock. The chain's spans count from here. */
    setAt: p.bigint("number"),
    /** When the first step came into force: a refresh leaves it. */
    since: p.bigint("number"),
    /** When the chain is over; null: never, or not known of one that was set by a release before this column. */
    endsAt: p.bigint("number").nullable(),
    /** The first step's span; null: without end. */
    firstTtl: p.bigint("number").nullable(),
    /** The steps as JSON, compared byte by byte. */
    chain: p.text().collation("C"),
  },
});
