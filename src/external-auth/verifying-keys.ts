import { MusterError } from "../errors.ts";
import type { ParsedJwt } from "../tokens/strict-jwt.ts";
import type { ProjectScope } from "../users/users.ts";
import type { ExternalKey, ExternalKeys } from "./keys/external-keys.ts";
import type { PublicKey } from "./public-key.ts";
import type { RemoteKeySets } from "./remote-key-sets.ts";

/** A key that may have signed a JWT. */
export interface Candidate {
  readonly publicKey: PublicKey;
  readonly of: ExternalKey;
}

/** More keys of one set are not tried: a JWT that names none of so many says too little. */
const MOST_TRIED = 4;

export interface CandidatePorts {
  readonly externalKeys: ExternalKeys;
  readonly keySets: RemoteKeySets;
}

/**
 * The keys that may have signed a JWT, the current one first: those that it names, by their own `kid` or their thumbprint; where it names none
 * of them, those that have no name of their own. A set is fetched when it is its turn: one that cannot be reached does not keep out what
 * another key has signed. Last those that were registered since `keys` were read. PROVIDER_UNAVAILABLE at the end, where a set could not be asked.
 */
export async function* candidates(
  { externalKeys, keySets }: CandidatePorts,
  { projectId, signal }: ProjectScope,
  keys: readonly ExternalKey[],
  jwt: ParsedJwt,
): AsyncGenerator<Candidate, void, undefined> {
  const unreachable: MusterError[] = [];
  yield* candidatesAmong(keySets, keys, jwt, unreachable, signal);
  const since = (await externalKeys.reload(projectId)).filter(({ id }) => keys.every((key) => key.id !== id));
  yield* candidatesAmong(keySets, since, jwt, unreachable, signal);
  if (unreachable[0]) throw unreachable[0];
}

/** What a set cannot be reached for goes to `unreachable`. */
async function* candidatesAmong(
  sets: RemoteKeySets,
  keys: readonly ExternalKey[],
  jwt: ParsedJwt,
  unreachable: MusterError[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Candidate, void, undefined> {
  const named = keys.filter(({ publicKey }) => publicKey && nameOf(publicKey) === jwt.keyId);
  for (const key of named.length > 0 ? named : keys)
    try {
      const publicKeys = key.publicKey ? [key.publicKey] : await setOf(sets, key, jwt, signal);
      for (const publicKey of fitting(publicKeys, jwt)) yield { publicKey, of: key };
    } catch (error) {
      if (!(error instanceof MusterError) || error.reason !== "PROVIDER_UNAVAILABLE") throw error;
      unreachable.push(error);
    }
}

const setOf = (sets: RemoteKeySets, { jwksUri = "" }: ExternalKey, { keyId }: ParsedJwt, signal?: AbortSignal) =>
  sets.keySetAt(jwksUri).keysFor(keyId, signal);

/** The name that a JWT may call a key by. */
export const nameOf = ({ keyId, thumbprint }: PublicKey): string => keyId ?? thumbprint;

/** Those that are for the algorithm, and that the JWT names; a key that came without a name may be meant by any. */
const fitting = (keys: readonly PublicKey[], { algorithm, keyId }: ParsedJwt): readonly PublicKey[] =>
  keys
    .filter((key) => key.algorithms.includes(algorithm))
    .filter((key) => keyId === undefined || key.keyId === undefined || key.keyId === keyId)
    .slice(0, MOST_TRIED);
