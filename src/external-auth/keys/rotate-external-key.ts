import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../../audit/append-audit.ts";
import type { Clock } from "../../clock.ts";
import type { Database } from "../../db/orm.ts";
import type { WriteScope } from "../../db/recorded.ts";
import { transaction } from "../../db/transaction.ts";
import { invalid } from "../../errors.ts";
import type { NewId } from "../../ids.ts";
import { lockProject } from "../../projects/projects.ts";
import type { ProjectScope } from "../../users/users.ts";
import { ExternalKeyEntity, type ExternalKeyRow } from "./external-key.entity.ts";
import { type ExternalKey, type ExternalKeys, externalKeyOf } from "./external-keys.ts";
import { type ExternalKeySource, generateKey, type NewSingleKey, readKey } from "./new-external-key.ts";

export interface RotateExternalKeyPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly externalKeys: ExternalKeys;
  /** Has the set of keys at a URL read, in which there must be one that can be used. REQUEST_INVALID, PROVIDER_UNAVAILABLE. */
  requireKeySet(jwksUri: string, signal: AbortSignal | undefined): Promise<unknown>;
}

export interface Rotation {
  readonly source: ExternalKeySource;
  /** Empty: what the key itself says. */
  readonly algorithm: string;
  readonly revokePrevious: boolean;
  /** For how long the key before stays good, in milliseconds. */
  readonly previousTtlMs: number;
}

/** A key as it was registered. */
export interface RotatedKey {
  readonly key: ExternalKey;
  /** In PEM (PKCS #8), where it was generated: kept nowhere. */
  readonly privateKeyPem: string | undefined;
}

/** What of a row says which key it is. */
type Identity = Pick<ExternalKeyRow, "publicJwk" | "jwksUri" | "keyId" | "algorithm">;

/**
 * Registers a key as the project's current one. The one before stays good for a while, or goes at once with `revokePrevious`, on every
 * process within a second; the one before that goes. Registering the current one again makes no other. REQUEST_INVALID, PROVIDER_UNAVAILABLE,
 * PROJECT_NOT_FOUND.
 */
export async function rotateExternalKey(
  ports: RotateExternalKeyPorts,
  scope: WriteScope,
  rotation: Rotation,
): Promise<RotatedKey> {
  const { identity, privateKeyPem } = await newKey(ports, scope, rotation);
  const { projectId } = scope;
  const row = await transaction(ports.db, scope, async (em) => {
    await lockProject(em, projectId);
    return register(ports, em, scope, identity, rotation);
  });
  // What fails here is looked for again within half a second.
  await ports.externalKeys.reload(projectId).catch(() => undefined);
  return { key: externalKeyOf(row), privateKeyPem };
}

/** What is registered, before anything is locked: a set is fetched, and a key pair takes its time. */
async function newKey(
  { requireKeySet }: RotateExternalKeyPorts,
  { signal }: ProjectScope,
  { source, algorithm }: Rotation,
): Promise<{ identity: Identity; privateKeyPem: string | undefined }> {
  if (source.kind === "jwksUri") {
    if (algorithm) throw invalid("algorithm", "is for a single key: those of a set name theirs");
    await requireKeySet(source.jwksUri, signal);
    const identity = { publicJwk: null, jwksUri: source.jwksUri, keyId: null, algorithm: null };
    return { identity, privateKeyPem: undefined };
  }
  if (source.kind === "generate" && algorithm) throw invalid("algorithm", "is said by generate.algorithm");
  const key = source.kind === "generate" ? await generateKey(source.algorithm || "EdDSA") : readKey(source, algorithm);
  return { identity: identityOf(key), privateKeyPem: key.privateKeyPem };
}

const identityOf = ({ publicKey: { jwk, keyId }, algorithm }: NewSingleKey): Identity => ({
  publicJwk: { ...jwk },
  jwksUri: null,
  keyId: keyId ?? null,
  algorithm: algorithm ?? null,
});

/** In a transaction that has locked the project. */
async function register(
  { clock, newId }: RotateExternalKeyPorts,
  em: SqlEntityManager,
  { projectId, act }: WriteScope,
  identity: Identity,
  { revokePrevious, previousTtlMs }: Rotation,
): Promise<ExternalKeyRow> {
  const now = clock.now();
  const createTime = new Date(now);
  const tell = ({ id }: Pick<ExternalKeyRow, "id">, details: object) =>
    appendAudit(em, act, { projectId, target: `external_key/${id}`, details, createTime });
  const held = await em.find(ExternalKeyEntity, { projectId }, { orderBy: { id: "asc" } });
  const current = held.find(({ endTime }) => endTime === null);
  const isSame = current !== undefined && sameKey(current, identity);
  const removed = held.filter((key) => (key === current ? revokePrevious && !isSame : revokePrevious || !isSame));
  await em.nativeDelete(ExternalKeyEntity, { projectId, id: removed.map(({ id }) => id) });
  for (const key of removed) await tell(key, { removed: true });
  if (isSame) return current;
  if (current && !revokePrevious) {
    const { id } = current;
    await em.nativeUpdate(ExternalKeyEntity, { projectId, id }, { endTime: new Date(now + previousTtlMs) });
    await tell(current, { ended: true });
  }
  const row = { ...identity, projectId, id: newId(), createTime, endTime: null };
  await em.insert(ExternalKeyEntity, row);
  await tell(row, { created: true });
  return row as ExternalKeyRow;
}

/** The members of a JWK stand in one order wherever it comes from, but jsonb has one of its own. */
function sameKey(one: Identity, other: Identity): boolean {
  const members = ({ publicJwk }: Identity) => new Map(Object.entries(publicJwk ?? {}));
  const [ones, others] = [members(one), members(other)];
  return (
    one.jwksUri === other.jwksUri &&
    one.keyId === other.keyId &&
    one.algorithm === other.algorithm &&
    ones.size === others.size &&
    [...ones].every(([name, value]) => others.get(name) === value)
  );
}
