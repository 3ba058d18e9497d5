import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** What a provider calls a user of the project. Goes with its user, and with its provider. */
export const IdentityEntity = defineEntity({
  name: "Identity",
  tableName: "identities",
  properties: {
    projectId: p.uuid().primary(),
    providerId: p.text().collation("C").primary(),
    /** The user's id at the provider, byte by byte. */
    subject: p.text().collation("C").primary(),
    userId: p.uuid(),
    /** What the provider said at the last sign-in, or when it was linked. Nobody is found by it. */
    email: p.text().nullable(),
    emailVerified: p.boolean().default(false),
    createTime: p.datetime(),
    /** At most a minute behind. */
    lastSignInTime: p.datetime().nullable(),
  },
  indexes: [{ name: "identities_of_user", properties: ["projectId", "userId", "createTime", "providerId", "subject"] }],
});

export type Identity = InferEntity<typeof IdentityEntity>;
