import type { Clock } from "../../clock.ts";
import { createLastKnown } from "../../db/last-known.ts";
import type { Database } from "../../db/orm.ts";
import { read } from "../../db/transaction.ts";
import { LAST_KNOWN } from "../../projects/projects.ts";
import { boundTo, type PublicKey, parsePublicKey } from "../public-key.ts";
import { ExternalKeyEntity, type ExternalKeyRow } from "./external-key.entity.ts";

/** An external key of a project, ready to verify. Times in milliseconds since the epoch. */
export interface ExternalKey {
  readonly id: string;
  /** Undefined: a set. The same object for as long as the key is there. */
  readonly publicKey: PublicKey | undefined;
  /** Undefined: a single key. */
  readonly jwksUri: string | undefined;
  readonly algorithm: string | undefined;
  readonly createTime: number;
  /** From when on it counts no more; undefined: it is current. */
  readonly endTime: number | undefined;
}

/** The external keys of all projects, as this process knows them. */
export interface ExternalKeys {
  /** Those that count now, the current one first, at most half a second old. STORAGE_UNAVAILABLE. */
  of(projectId: string): Promise<readonly ExternalKey[]>;
  /** The same as of now. STORAGE_UNAVAILABLE. */
  reload(projectId: string): Promise<readonly ExternalKey[]>;
}

/** Makes the process's view of the keys; they are read when they are first asked for. */
export function createExternalKeys(db: Database, clock: Clock): ExternalKeys {
  const known = createLastKnown<readonly ExternalKey[]>({
    ...LAST_KNOWN,
    clock,
    async load(projectId, last = []) {
      const rows = await read(db, { projectId }, (em) => em.find(ExternalKeyEntity, { projectId }));
      return rows.map((row) => last.find(({ id }) => id === row.id && !isChanged(last, row)) ?? externalKeyOf(row));
    },
  });
  const counting = (keys: readonly ExternalKey[] = []) => {
    const now = clock.now();
    return keys
      .filter(({ endTime }) => endTime === undefined || now < endTime)
      .toSorted((one, other) => Number(one.endTime !== undefined) - Number(other.endTime !== undefined));
  };
  return {
    of: async (projectId) => counting(await known.get(projectId)),
    reload: async (projectId) => counting(await known.reload(projectId)),
  };
}

/** Of a key that is there nothing changes but its end. */
const isChanged = (known: readonly ExternalKey[], { id, endTime }: ExternalKeyRow): boolean =>
  known.some((key) => key.id === id && key.endTime !== endTime?.getTime());

/** The key of a row. */
export function externalKeyOf(row: ExternalKeyRow): ExternalKey {
  return {
    id: row.id,
    publicKey: row.publicJwk ? publicKeyOf(row.publicJwk, row) : undefined,
    jwksUri: row.jwksUri ?? undefined,
    algorithm: row.algorithm ?? undefined,
    createTime: row.createTime.getTime(),
    endTime: row.endTime?.getTime(),
  };
}

function publicKeyOf(jwk: Record<string, string>, { keyId, algorithm }: ExternalKeyRow): PublicKey {
  const key = parsePublicKey({ jwk: { ...jwk, ...(keyId && { kid: keyId }) } });
  const bound = algorithm ? boundTo(key, algorithm) : key;
  if (!bound) throw new Error(`an external key is bound to ${algorithm}, which it is not for`);
  return bound;
}
