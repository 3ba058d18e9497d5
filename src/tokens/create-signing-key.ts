import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { SealedColumn } from "../db/sealed-column.ts";
import type { NewId } from "../ids.ts";
import type { SigningAlgorithm } from "../projects/projects.ts";
import type { SealContext, Sealer } from "../sealing.ts";
import { generateSigningKeyPair } from "./signing-algorithm.ts";
import { type SigningKey, SigningKeyEntity } from "./signing-key.entity.ts";

/** What a private key is sealed as. */
const PURPOSE = "signing-key";

/** What the private half of a key is bound to. */
export const signingKeyContext = (projectId: string, id: string): SealContext => ({ purpose: PURPOSE, projectId, id });

export const SEALED_SIGNING_KEYS: SealedColumn = {
  table: "signing_keys",
  column: "sealed_private_key",
  key: ["project_id", "id"],
  contextOf: ({ project_id: projectId = "", id = "" }) => signingKeyContext(projectId, id),
};

export interface CreateSigningKeyPorts {
  readonly sealer: Sealer;
  readonly newId: NewId;
}

/** When a key is made and when it begins to sign, in milliseconds since the epoch. */
export interface KeyStart {
  readonly createTime: number;
  readonly activateTime: number;
}

/** Adds a key to the end of a project's chain, in the transaction of `em` that holds the project. PROJECT_NOT_FOUND. */
export async function createSigningKey(
  { sealer, newId }: CreateSigningKeyPorts,
  em: SqlEntityManager,
  projectId: string,
  algorithm: SigningAlgorithm,
  { createTime, activateTime }: KeyStart,
): Promise<SigningKey> {
  const { publicJwk, privateJwk } = await generateSigningKeyPair(algorithm);
  const id = newId();
  const secret = Buffer.from(JSON.stringify(privateJwk));
  const sealedPrivateKey = sealer.seal(secret, signingKeyContext(projectId, id));
  secret.fill(0);
  const key: SigningKey = {
    projectId,
    id,
    algorithm,
    publicJwk: publicJwk as Record<string, string>,
    sealedPrivateKey,
    createTime: new Date(createTime),
    activateTime: new Date(activateTime),
    retireTime: null,
    lastExpireTime: new Date(activateTime),
  };
  await em.insert(SigningKeyEntity, key);
  return key;
}
