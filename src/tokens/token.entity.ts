import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** What is kept of a JWT that is not stateless. Goes with its user; never holds the signed token or a digest of it. */
export const TokenEntity = defineEntity({
  name: "Token",
  tableName: "tokens",
  properties: {
    projectId: p.uuid().primary(),
    /** The `jti`. */
    id: p.uuid().primary(),
    userId: p.uuid(),
    /** The `kid` of the key that signed it last; it is over when that key is gone. Null: nobody knows, so it is over. */
    keyId: p.uuid().nullable(),
    issueTime: p.datetime(),
    expireTime: p.datetime(),
    revokeTime: p.datetime().nullable(),
    /** What it says beyond this row, the caller's claims and the audience, sealed: to sign it again with another end. Null: nothing. */
    sealedContent: p.blob().nullable(),
  },
  indexes: [
    { name: "tokens_of_user", properties: ["projectId", "userId", "id"] },
    { name: "tokens_expire_time", properties: ["expireTime"] },
    {
      name: "tokens_sealing",
      expression:
        "create index tokens_sealing on tokens (substring(sealed_content from 1 for 5), project_id, id) where substring(sealed_content from 1 for 5) is not null",
    },
    {
      name: "tokens_key",
      expression: "create index tokens_key on tokens (project_id, key_id, expire_time) where revoke_time is null",
    },
  ],
});

export type Token = InferEntity<typeof TokenEntity>;
