import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/**
 * A key pair that signs a project's tokens. What it does now follows from its times (`key-life.ts`), so that nothing has to be written
 * at a moment. The keys of a project are a chain: each one retires when the next one begins to sign, and the last one has no end.
 */
export const SigningKeyEntity = defineEntity({
  name: "SigningKey",
  tableName: "signing_keys",
  properties: {
    projectId: p.uuid().primary(),
    /** The `kid`. */
    id: p.uuid().primary(),
    algorithm: p.text().$type<"ED25519" | "ES256" | "RS256">(),
    /** The public half as a JWK, without `kid`, `alg` and `use`. */
    publicJwk: p.json<Record<string, string>>(),
    /** The private half as a JWK in JSON, sealed. */
    sealedPrivateKey: p.blob(),
    createTime: p.datetime(),
    /** From when on it signs. */
    activateTime: p.datetime(),
    /** From when on it signs nothing more; null: no other key follows it yet. */
    retireTime: p.datetime().nullable(),
    /** No token that it signed ends later. Its `activateTime` while it has signed none. */
    lastExpireTime: p.datetime(),
  },
  indexes: [
    {
      name: "signing_keys_sealing",
      expression:
        "create index signing_keys_sealing on signing_keys (substring(sealed_private_key from 1 for 5), project_id, id)",
    },
  ],
});

export type SigningKey = InferEntity<typeof SigningKeyEntity>;
