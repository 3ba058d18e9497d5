import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../audit/append-audit.ts";
import type { Act } from "../db/act.ts";
import { appendEvent } from "../events/append-event.ts";
import type { NewId } from "../ids.ts";
import type { SigningKey } from "./signing-key.entity.ts";

/** What came to the keys of a project. */
export interface KeyChange {
  /** The one that was made. */
  readonly key: SigningKey;
  /** Those that were taken away for it. */
  readonly revoked: readonly SigningKey[];
  /** Whether there was none before it. */
  readonly isFirst?: boolean;
}

/** Appends, in the transaction of `em`, the entries of the keys, and `signing_key.rotated` unless the key is the first one. */
export async function tellOfKey(
  { newId }: { readonly newId: NewId },
  em: SqlEntityManager,
  act: Act,
  { key, revoked, isFirst = false }: KeyChange,
): Promise<void> {
  const { projectId, createTime } = key;
  const entry = ({ id }: SigningKey, details: object) =>
    appendAudit(em, act, { projectId, target: `signing_key/${id}`, details, createTime });
  await entry(key, { created: true });
  for (const gone of revoked) await entry(gone, { revoked: true });
  if (isFirst) return;
  const data = {
    key_id: key.id,
    algorithm: `SIGNING_ALGORITHM_${key.algorithm}`,
    activate_time: key.activateTime,
    ...(revoked.length > 0 && { revoked_key_ids: revoked.map(({ id }) => id) }),
  };
  await appendEvent(em, { projectId, id: newId(), type: "signing_key.rotated", data, act, createTime });
}
