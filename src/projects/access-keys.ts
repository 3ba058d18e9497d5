import { appendAudit } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { read, transaction } from "../db/transaction.ts";
import { invalid, MusterError } from "../errors.ts";
import { appendEvent } from "../events/append-event.ts";
import type { NewId } from "../ids.ts";
import { type AnnounceEnd, endAccess } from "../revocations/revocations.ts";
import { newAccessCredential } from "./access-credential.ts";
import { AccessKeyEntity } from "./access-key.entity.ts";
import { ProjectEntity } from "./project.entity.ts";

export interface AccessKeyPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
}

/** The most keys of a project that are not revoked. */
const MAX_KEYS = 100;

/** Makes an access key. Its credential exists in this answer only. PROJECT_NOT_FOUND. */
export async function createAccessKey(
  { db, clock, newId }: AccessKeyPorts,
  scope: WriteScope,
  displayName: string,
): Promise<{ credential: string; key: AccessKeyEntity }> {
  const id = newId();
  const { credential, digest } = newAccessCredential(id);
  const { projectId, act } = scope;
  const key = await transaction(db, scope, async (em) => {
    const valid = await em.count(AccessKeyEntity, { revokeTime: null });
    if (valid >= MAX_KEYS) throw invalid("project_id", `the project has ${MAX_KEYS} access keys; revoke one first`);
    const createTime = new Date(clock.now());
    const columns = { projectId, id, displayName, secretDigest: digest, createTime, revokeTime: null };
    const made = em.create(AccessKeyEntity, columns);
    await em.persist(made).flush();
    const data = { access_key_id: id, display_name: displayName };
    await appendEvent(em, { projectId, id: newId(), type: "access_key.created", data, act, createTime });
    await appendAudit(em, act, { projectId, target: `access_key/${id}`, details: { created: true }, createTime });
    return made;
  });
  return { credential, key };
}

/** All keys of a project, oldest first. PROJECT_NOT_FOUND. */
export async function listAccessKeys(db: Database, scope: Omit<WriteScope, "act">): Promise<AccessKeyEntity[]> {
  return read(db, scope, async (em) => {
    const keys = await em.find(AccessKeyEntity, {}, { orderBy: { id: "asc" } });
    if (keys.length === 0 && !(await em.count(ProjectEntity, { id: scope.projectId })))
      throw new MusterError("PROJECT_NOT_FOUND");
    return keys;
  });
}

/** For how long it is told that a key is revoked: every server hears of it within a second of seeing the database. */
const TOLD_MS = 86_400_000;

/** Revokes a key, and ends what was opened with it; the time of an earlier revocation stays. ACCESS_KEY_NOT_FOUND. */
export async function revokeAccessKey(
  { db, clock, newId, announceEnd }: AccessKeyPorts & { readonly announceEnd: AnnounceEnd },
  scope: WriteScope,
  keyId: string,
): Promise<AccessKeyEntity> {
  const { projectId, act } = scope;
  const revoked = await transaction(db, scope, async (em) => {
    const now = new Date(clock.now());
    const written = await em.nativeUpdate(AccessKeyEntity, { id: keyId, revokeTime: null }, { revokeTime: now });
    const key = await em.findOne(AccessKeyEntity, { id: keyId });
    if (!key) throw new MusterError("ACCESS_KEY_NOT_FOUND");
    if (written === 0) return key;
    const forgetAfterTime = new Date(now.getTime() + TOLD_MS);
    const end = { projectId, subject: { accessKeyId: keyId }, cause: "ACCESS_KEY_REVOKED" } as const;
    await endAccess(em, { ...end, forgetAfterTime, createTime: now });
    const data = { access_key_id: keyId };
    await appendEvent(em, { projectId, id: newId(), type: "access_key.revoked", data, act, createTime: now });
    const details = { revoked: true };
    await appendAudit(em, act, { projectId, target: `access_key/${keyId}`, details, createTime: now });
    return key;
  });
  announceEnd();
  return revoked;
}
