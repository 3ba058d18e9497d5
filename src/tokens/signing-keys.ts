import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { type CryptoKey, importJWK, type JWK } from "jose";
import type { Clock } from "../clock.ts";
import { createLastKnown } from "../db/last-known.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { SigningAlgorithm } from "../projects/projects.ts";
import type { Sealer } from "../sealing.ts";
import { signingKeyContext } from "./create-signing-key.ts";
import { type KeyTimes, keyStateAt } from "./key-life.ts";
import { type PublishedJwk, publishedJwk } from "./published-jwk.ts";
import { ALGORITHMS } from "./signing-algorithm.ts";

/** A signing key of a project, ready to verify and to sign. */
export interface ProjectKey extends KeyTimes {
  /** The `kid`. */
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  /** The only `alg` that tokens under this key may name. */
  readonly alg: string;
  readonly jwk: PublishedJwk;
  /** Stays the same object for as long as the key is there. */
  readonly verifyingKey: CryptoKey;
  /** The same in Node's own form. */
  readonly publicKey: KeyObject;
  /** Unseals the private half at its first use. */
  signingKey(): KeyObject;
}

/** The signing keys of all projects, as this process knows them: at most 500 ms old, older only while the database is away. */
export interface SigningKeys {
  /** The keys that are not gone, the last to sign first; empty: no such project. STORAGE_UNAVAILABLE. */
  list(projectId: string): Promise<readonly ProjectKey[]>;
  /** The key by its id, unless it is gone. One that is not known yet is looked for. STORAGE_UNAVAILABLE. */
  find(projectId: string, keyId: string): Promise<ProjectKey | undefined>;
  /**
   * The key to sign a token with that begins now and lives for `lifetimeMs`: the key stays that long. Every token, kept or not, is signed
   * with a key that was got here for it. PROJECT_NOT_FOUND; STORAGE_UNAVAILABLE.
   */
  toSign(projectId: string, lifetimeMs: number): Promise<ProjectKey>;
  /** Reads the project's keys anew, if the database is there. */
  refresh(projectId: string): Promise<void>;
}

const MAX_AGE_MS = 500;
/** For how long JWKS and verification go on with what is known when the database is away: a key may have been revoked since. */
const MAX_AWAY_MS = 3_600_000;
const PATIENCE_MS = 1_000;
const MAX_PROJECTS = 4_096;
/** How far beyond a token's end its key is promised to stay: a key's row is written once in this time, not once per token. */
const EXPIRY_STEP_MS = 600_000;
/** Where all that a user had was just ended, the next token begins up to this much ahead (`revocations/end-access.ts`). */
const MOST_AHEAD_MS = 31_000;

const BY_PROJECT: Statement = {
  name: "signing_keys_by_project",
  text: `select id, algorithm, public_jwk, sealed_private_key, activate_time, retire_time, last_expire_time
    from signing_keys where project_id = $1 order by activate_time desc, create_time desc, id desc`,
};

const RAISE_LAST_EXPIRY: Statement = {
  name: "raise_last_expiry",
  text: `update signing_keys set last_expire_time = $4 where project_id = $1 and id = $2 and last_expire_time < $3`,
};

interface Row {
  id: string;
  algorithm: SigningAlgorithm;
  public_jwk: Record<string, string>;
  sealed_private_key: Buffer;
  activate_time: Date;
  retire_time: Date | null;
  last_expire_time: Date;
}

/** Makes the process's view of the keys; they are read when they are first asked for. */
export function createSigningKeys(db: Database, clock: Clock, sealer: Sealer): SigningKeys {
  const known = createLastKnown<readonly ProjectKey[]>({
    clock,
    maxAgeMs: MAX_AGE_MS,
    maxAwayMs: MAX_AWAY_MS,
    patienceMs: PATIENCE_MS,
    maxEntries: MAX_PROJECTS,
    async load(projectId, last = []) {
      // Shared by all who wait for it, so no caller's signal may cancel it.
      const rows = await query<Row>(db.pool, BY_PROJECT, [projectId]);
      const keys = await Promise.all(rows.map((row) => keyOf(sealer, projectId, row, last)));
      return keys.length > 0 ? keys : undefined;
    },
  });
  const there = (keys: readonly ProjectKey[] = []) => {
    const now = clock.now();
    return keys.every((key) => keyStateAt(key, now) !== "GONE")
      ? keys
      : keys.filter((key) => keyStateAt(key, now) !== "GONE");
  };
  const list = async (projectId: string) => there(await known.get(projectId));
  return {
    list,
    async refresh(projectId) {
      // What fails here is looked for again within half a second.
      await known.reload(projectId).catch(() => undefined);
    },
    async find(projectId, keyId) {
      const withId = (keys: readonly ProjectKey[] | undefined) => there(keys).find((key) => key.id === keyId);
      const keys = await known.get(projectId);
      return keys && (withId(keys) ?? withId(await known.reload(projectId)));
    },
    async toSign(projectId, lifetimeMs) {
      for (;;) {
        const now = clock.now();
        const key = activeKey(projectId, await list(projectId), now);
        const expiresAt = now + MOST_AHEAD_MS + lifetimeMs;
        if (expiresAt <= key.lastExpireTime) return key;
        const times = [expiresAt, expiresAt + EXPIRY_STEP_MS].map((ms) => new Date(ms));
        await query(db.pool, RAISE_LAST_EXPIRY, [projectId, key.id, ...times]);
        // It was raised, by this process or another one, or the key is gone.
        await known.reload(projectId);
      }
    },
  };
}

function activeKey(projectId: string, keys: readonly ProjectKey[], nowMs: number): ProjectKey {
  if (keys.length === 0) throw new MusterError("PROJECT_NOT_FOUND");
  const active = keys.find((key) => keyStateAt(key, nowMs) === "ACTIVE");
  if (!active) throw new Error(`project ${projectId} has no active signing key`);
  return active;
}

async function keyOf(sealer: Sealer, projectId: string, row: Row, last: readonly ProjectKey[]): Promise<ProjectKey> {
  const times: KeyTimes = {
    activateTime: row.activate_time.getTime(),
    retireTime: row.retire_time?.getTime(),
    lastExpireTime: row.last_expire_time.getTime(),
  };
  const same = last.find((key) => key.id === row.id);
  if (same) return { ...same, ...times };
  const { alg } = ALGORITHMS[row.algorithm];
  let signingKey: KeyObject | undefined;
  return {
    ...times,
    id: row.id,
    algorithm: row.algorithm,
    alg,
    jwk: publishedJwk({ id: row.id, algorithm: row.algorithm, publicJwk: row.public_jwk }),
    verifyingKey: await importKey(row.public_jwk, alg),
    publicKey: createPublicKey({ key: row.public_jwk, format: "jwk" }),
    signingKey: () => (signingKey ??= unseal(sealer, projectId, row)),
  };
}

function unseal(sealer: Sealer, projectId: string, row: Row): KeyObject {
  const secret = sealer.open(row.sealed_private_key, signingKeyContext(projectId, row.id));
  try {
    return createPrivateKey({ key: JSON.parse(secret.toString()) as JsonWebKey, format: "jwk" });
  } finally {
    secret.fill(0);
  }
}

async function importKey(jwk: JWK, alg: string): Promise<CryptoKey> {
  const key = await importJWK(jwk, alg, { extractable: false });
  if (key instanceof Uint8Array) throw new Error("a signing key is symmetric");
  return key;
}
