import type { Database } from "../db/orm.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { lockProject } from "../projects/projects.ts";
import { type AnnounceEnd, endAccess, forgetAfter } from "../revocations/revocations.ts";
import { type KeyChainPorts, prepareKey, replaceKeys } from "./key-chain.ts";
import type { ListedSigningKey } from "./list-signing-keys.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** GRACEFUL: old tokens live out their time. REVOKE_ALL: every token ends at once. */
export type RotationMode = "GRACEFUL" | "REVOKE_ALL";

export interface RotateSigningKeyPorts extends KeyChainPorts {
  readonly db: Database;
  readonly keys: SigningKeys;
  readonly announceEnd: AnnounceEnd;
}

/**
 * Has a new key sign the project's tokens. GRACEFUL: after the prepare time, and where a key is prepared already it is that one.
 * REVOKE_ALL: at once; every other key is gone, and the streams end that were let in by its tokens, on every process within a second. PROJECT_NOT_FOUND, SIGNING_KEYS_FULL.
 */
export async function rotateSigningKey(
  ports: RotateSigningKeyPorts,
  scope: WriteScope,
  mode: RotationMode,
): Promise<ListedSigningKey> {
  const { projectId } = scope;
  const key = await transaction(ports.db, scope, async (em) => {
    await lockProject(em, projectId);
    if (mode === "GRACEFUL") return prepareKey(ports, em, scope);
    const { key, revoked } = await replaceKeys(ports, em, scope);
    for (const { id, lastExpireTime } of revoked)
      await endAccess(em, {
        projectId,
        subject: { keyId: id },
        cause: "KEY_REVOKED",
        forgetAfterTime: forgetAfter(lastExpireTime.getTime()),
        createTime: key.createTime,
      });
    return key;
  });
  if (mode === "REVOKE_ALL") ports.announceEnd();
  await ports.keys.refresh(projectId);
  // One that is prepared may have begun to sign by now; it was not when it was chosen.
  return { ...key, state: mode === "GRACEFUL" ? "PREPARED" : "ACTIVE", liveTokens: 0 };
}
