import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** An access key of a project. Its secret is kept as a digest only. */
export const AccessKeyEntity = defineEntity({
  name: "AccessKey",
  tableName: "access_keys",
  properties: {
    projectId: p.uuid().primary(),
    id: p.uuid().primary().unique("access_keys_id"),
    displayName: p.text(),
    /** SHA-256 of the secret part. */
    secretDigest: p.blob(),
    createTime: p.datetime(),
    revokeTime: p.datetime().nullable(),
  },
});
export type AccessKeyEntity = InferEntity<typeof AccessKeyEntity>;
