import type { Database } from "../db/orm.ts";
import { read, type Scope } from "../db/transaction.ts";
import { type SigningKey, SigningKeyEntity } from "./signing-key.entity.ts";

const FIELDS = ["id", "algorithm", "state", "publicJwk", "createTime"] as const;

/** A signing key without its private half. */
export type SigningKeyRecord = Pick<SigningKey, (typeof FIELDS)[number]>;

/** The keys of the scope's project, newest first. */
export function listSigningKeys(db: Database, scope: Scope): Promise<SigningKeyRecord[]> {
  const orderBy = { createTime: "desc", id: "desc" } as const;
  return read(db, scope, (em) => em.find(SigningKeyEntity, {}, { orderBy, fields: FIELDS }));
}
