import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** A key pair that signs a project's tokens. At most one of a project is ACTIVE, the newest. */
export const SigningKeyEntity = defineEntity({
  name: "SigningKey",
  tableName: "signing_keys",
  properties: {
    projectId: p.uuid().primary(),
    /** The `kid`. */
    id: p.uuid().primary(),
    algorithm: p.text().$type<"ED25519" | "ES256" | "RS256">(),
    /** PREPARED: published, signs nothing yet. ACTIVE: signs. RETIRING: signs nothing more, its tokens live out their time. */
    state: p.text().$type<"PREPARED" | "ACTIVE" | "RETIRING">(),
    /** The public half as a JWK, without `kid`, `alg` and `use`. */
    publicJwk: p.json<Record<string, string>>(),
    /** The private half as a JWK in JSON, sealed. */
    sealedPrivateKey: p.blob(),
    createTime: p.datetime(),
  },
});

export type SigningKey = InferEntity<typeof SigningKeyEntity>;
