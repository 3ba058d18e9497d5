import { createPrivateKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { type CryptoKey, importJWK, type JWK } from "jose";
import type { Clock } from "../clock.ts";
import { createLastKnown } from "../db/last-known.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import type { SigningAlgorithm } from "../projects/projects.ts";
import type { Sealer } from "../sealing.ts";
import { SIGNING_KEY_PURPOSE } from "./create-signing-key.ts";
import { type PublishedJwk, publishedJwk } from "./published-jwk.ts";
import { ALGORITHMS } from "./signing-algorithm.ts";

/** A signing key of a project, ready to verify and to sign. */
export interface ProjectKey {
  /** The `kid`. */
  readonly id: string;
  readonly algorithm: SigningAlgorithm;
  /** The only `alg` that tokens under this key may name. */
  readonly alg: string;
  readonly state: "PREPARED" | "ACTIVE" | "RETIRING";
  readonly jwk: PublishedJwk;
  /** Stays the same object for as long as the key is there. */
  readonly verifyingKey: CryptoKey;
  /** Unseals the private half at its first use. */
  signingKey(): KeyObject;
}

/** The signing keys of all projects, as this process knows them: at most 500 ms old, older only while the database is away. */
export interface SigningKeys {
  /** Newest first; empty: no such project. STORAGE_UNAVAILABLE. */
  list(projectId: string): Promise<readonly ProjectKey[]>;
  /** The key by its id. One that is not known yet is looked for. STORAGE_UNAVAILABLE. */
  find(projectId: string, keyId: string): Promise<ProjectKey | undefined>;
}

const MAX_AGE_MS = 500;
/** For how long JWKS and verification go on with what is known when the database is away: a key may have been revoked since. */
const MAX_AWAY_MS = 3_600_000;
const PATIENCE_MS = 1_000;
const MAX_PROJECTS = 4_096;

const BY_PROJECT: Statement = {
  name: "signing_keys_by_project",
  text: `select id, algorithm, state, public_jwk, sealed_private_key
    from signing_keys where project_id = $1 order by create_time desc, id desc`,
};

interface Row {
  id: string;
  algorithm: SigningAlgorithm;
  state: ProjectKey["state"];
  public_jwk: Record<string, string>;
  sealed_private_key: Buffer;
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
  return {
    list: async (projectId) => (await known.get(projectId)) ?? [],
    async find(projectId, keyId) {
      const withId = (keys: readonly ProjectKey[] | undefined) => keys?.find((key) => key.id === keyId);
      const keys = await known.get(projectId);
      return keys && (withId(keys) ?? withId(await known.reload(projectId)));
    },
  };
}

async function keyOf(sealer: Sealer, projectId: string, row: Row, last: readonly ProjectKey[]): Promise<ProjectKey> {
  const same = last.find((key) => key.id === row.id);
  if (same) return same.state === row.state ? same : { ...same, state: row.state };
  const { alg } = ALGORITHMS[row.algorithm];
  let signingKey: KeyObject | undefined;
  return {
    id: row.id,
    algorithm: row.algorithm,
    alg,
    state: row.state,
    jwk: publishedJwk({ id: row.id, algorithm: row.algorithm, publicJwk: row.public_jwk }),
    verifyingKey: await importKey(row.public_jwk, alg),
    signingKey: () => (signingKey ??= unseal(sealer, projectId, row)),
  };
}

function unseal(sealer: Sealer, projectId: string, row: Row): KeyObject {
  const secret = sealer.open(row.sealed_private_key, { purpose: SIGNING_KEY_PURPOSE, projectId, id: row.id });
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
