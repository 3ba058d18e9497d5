import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/**
 * A key of the customer's own system: a public key, or the address of a set of such. The one without an end is current; a project has at
 * most one more, the previous one, until its end.
 */
export const ExternalKeyEntity = defineEntity({
  name: "ExternalKey",
  tableName: "external_keys",
  properties: {
    projectId: p.uuid().primary(),
    id: p.uuid().primary(),
    /** The public members alone, without `kid`, `alg` and `use`; null: a set. */
    publicJwk: p.json<Record<string, string>>().nullable(),
    /** Where the set is; null: a single key. */
    jwksUri: p.text().nullable(),
    /** The `kid` that a single key came with. */
    keyId: p.text().nullable(),
    /** The one `alg` of its JWTs; null: any that is for keys like it. */
    algorithm: p.text().nullable(),
    createTime: p.datetime(),
    /** From when on nothing that it signed is taken; null: it is current. */
    endTime: p.datetime().nullable(),
  },
  checks: [{ name: "external_keys_kind", expression: "(public_jwk is null) <> (jwks_uri is null)" }],
  indexes: [
    { name: "external_keys_end", properties: ["endTime"] },
    {
      name: "external_keys_current",
      expression: "create unique index external_keys_current on external_keys (project_id) where end_time is null",
    },
  ],
});

export type ExternalKeyRow = InferEntity<typeof ExternalKeyEntity>;
