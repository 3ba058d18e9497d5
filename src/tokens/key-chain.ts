import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Clock } from "../clock.ts";
import type { Act } from "../db/act.ts";
import { MusterError } from "../errors.ts";
import type { SigningAlgorithm } from "../projects/projects.ts";
import { type CreateSigningKeyPorts, createSigningKey } from "./create-signing-key.ts";
import { goneBefore } from "./key-life.ts";
import { type SigningKey, SigningKeyEntity } from "./signing-key.entity.ts";
import { tellOfKey } from "./tell-of-key.ts";

export interface KeyChainPorts extends CreateSigningKeyPorts {
  readonly clock: Clock;
  /** For how long a key is published before it signs, in milliseconds. */
  readonly prepareMs: number;
}

/** Whose keys, and what is being done. */
export interface KeyScope {
  readonly projectId: string;
  readonly act: Act;
}

/** The most keys of a project that are not gone: verifiers read all of them. */
export const MAX_SIGNING_KEYS = 16;

/**
 * What follows changes the chain of a project's keys, in a transaction of `em` that has locked the project, so that they are never two
 * that sign at once.
 */

/**
 * Has the project's tokens signed with `algorithm`: at once where it has no key yet, otherwise from the end of the prepare time on.
 * SIGNING_KEYS_FULL.
 */
export async function useAlgorithm(
  ports: KeyChainPorts,
  em: SqlEntityManager,
  { projectId, act }: KeyScope,
  algorithm: SigningAlgorithm,
): Promise<void> {
  const now = ports.clock.now();
  // The project may still wait in the unit of work, and the key's row points at it.
  await em.flush();
  const chain = await chainOf(em, projectId, now);
  const last = chain.at(-1);
  if (!last) {
    const key = await createSigningKey(ports, em, projectId, algorithm, { createTime: now, activateTime: now });
    await tellOfKey(ports, em, act, { key, revoked: [], isFirst: true });
  } else if (last.algorithm !== algorithm) await append(ports, em, act, chain, last, algorithm, now);
}

/** Prepares a key to follow the one that signs. Where one is prepared already it gives that. PROJECT_NOT_FOUND, SIGNING_KEYS_FULL. */
export async function prepareKey(
  ports: KeyChainPorts,
  em: SqlEntityManager,
  { projectId, act }: KeyScope,
): Promise<SigningKey> {
  const now = ports.clock.now();
  const chain = await chainOf(em, projectId, now);
  const last = lastOf(chain);
  if (now < last.activateTime.getTime()) return last;
  return append(ports, em, act, chain, last, last.algorithm, now);
}

/** Takes all keys away and makes one that signs at once. Gives it and those it took. PROJECT_NOT_FOUND. */
export async function replaceKeys(
  ports: KeyChainPorts,
  em: SqlEntityManager,
  { projectId, act }: KeyScope,
): Promise<{ key: SigningKey; revoked: readonly SigningKey[] }> {
  const now = ports.clock.now();
  const revoked = await chainOf(em, projectId, now);
  const { algorithm } = lastOf(revoked);
  await em.nativeDelete(SigningKeyEntity, { projectId, id: revoked.map((it) => it.id) });
  const key = await createSigningKey(ports, em, projectId, algorithm, { createTime: now, activateTime: now });
  await tellOfKey(ports, em, act, { key, revoked });
  return { key, revoked };
}

/** The keys that are not gone, in the order in which they sign. Those that are wait for the job that removes them. */
function chainOf(em: SqlEntityManager, projectId: string, nowMs: number): Promise<SigningKey[]> {
  const later = { $gt: goneBefore(nowMs) };
  const isThere = { $or: [{ retireTime: null }, { retireTime: later }, { lastExpireTime: later }] };
  return em.find(SigningKeyEntity, { projectId, ...isThere }, { orderBy: { retireTime: "asc nulls last" } });
}

function lastOf(chain: readonly SigningKey[]): SigningKey {
  const last = chain.at(-1);
  // A project is made with a key, and each key that goes leaves the last one.
  if (!last) throw new MusterError("PROJECT_NOT_FOUND");
  return last;
}

async function append(
  ports: KeyChainPorts,
  em: SqlEntityManager,
  act: Act,
  chain: readonly SigningKey[],
  last: SigningKey,
  algorithm: SigningAlgorithm,
  nowMs: number,
): Promise<SigningKey> {
  if (chain.length >= MAX_SIGNING_KEYS) throw new MusterError("SIGNING_KEYS_FULL");
  // One that is prepared already has its turn, however short: it may have begun to sign by the time this is seen.
  const activateTime = Math.max(nowMs + ports.prepareMs, last.activateTime.getTime());
  await em.nativeUpdate(
    SigningKeyEntity,
    { projectId: last.projectId, id: last.id },
    { retireTime: new Date(activateTime) },
  );
  const key = await createSigningKey(ports, em, last.projectId, algorithm, { createTime: nowMs, activateTime });
  await tellOfKey(ports, em, act, { key, revoked: [] });
  return key;
}
