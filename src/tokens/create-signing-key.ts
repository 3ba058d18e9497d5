import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { NewId } from "../ids.ts";
import type { SigningAlgorithm } from "../projects/projects.ts";
import type { Sealer } from "../sealing.ts";
import { generateSigningKeyPair } from "./signing-algorithm.ts";
import { SigningKeyEntity } from "./signing-key.entity.ts";

/** What a private key is sealed as. */
export const SIGNING_KEY_PURPOSE = "signing-key";

export interface CreateSigningKeyPorts {
  readonly sealer: Sealer;
  readonly newId: NewId;
}

/**
 * Makes the project's signing key, inside the transaction, scoped to the project, that makes the project or changes its algorithm. A key that signed
 * until now retires: tokens under it live out their time. Other processes follow within the key cache's maximum age.
 * `nowMs` is milliseconds since the epoch. PROJECT_NOT_FOUND.
 */
export async function createSigningKey(
  { sealer, newId }: CreateSigningKeyPorts,
  em: SqlEntityManager,
  projectId: string,
  algorithm: SigningAlgorithm,
  nowMs: number,
): Promise<void> {
  const { publicJwk, privateJwk } = await generateSigningKeyPair(algorithm);
  const id = newId();
  const secret = Buffer.from(JSON.stringify(privateJwk));
  const sealedPrivateKey = sealer.seal(secret, { purpose: SIGNING_KEY_PURPOSE, projectId, id });
  secret.fill(0);
  // The project may still wait in the unit of work, and the key's row points at it.
  await em.flush();
  await em.nativeUpdate(SigningKeyEntity, { projectId, state: "ACTIVE" }, { state: "RETIRING" });
  await em.insert(SigningKeyEntity, {
    projectId,
    id,
    algorithm,
    state: "ACTIVE",
    publicJwk: publicJwk as Record<string, string>,
    sealedPrivateKey,
    createTime: new Date(nowMs),
  });
}
