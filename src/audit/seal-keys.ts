import { createHmac, hkdfSync } from "node:crypto";
import { encryptionKeyId } from "../sealing.ts";
import { fieldBytes } from "./field-bytes.ts";

/** A MAC that is made piece by piece. */
export interface Mac {
  add(bytes: Uint8Array): void;
  end(): Buffer;
}

/** What audit entries are sealed with: keys that are made from the encryption keys and make nothing else. */
export interface SealKeys {
  /** The id of the key that seals. */
  readonly current: string;
  has(keyId: string): boolean;
  /** Begins an HMAC-SHA-256 of something for one purpose. Throws for a key that is not there. */
  mac(keyId: string, purpose: "entries" | "seal" | "prune"): Mac;
}

const KEY_BYTES = 32;

/** `encryptionKeys` as a sealer takes them: the first one seals, all of them verify. */
export function createSealKeys(encryptionKeys: readonly Uint8Array[]): SealKeys {
  const keys = new Map(encryptionKeys.map((key) => [encryptionKeyId(key), derived(key)]));
  const [first] = encryptionKeys;
  if (!first) throw new RangeError("sealing audit entries needs an encryption key");
  return {
    current: encryptionKeyId(first),
    has: (keyId) => keys.has(keyId),
    mac(keyId, purpose) {
      const key = keys.get(keyId);
      if (!key) throw new Error("the key that audit entries were sealed with is not configured");
      const hmac = createHmac("sha256", key).update(fieldBytes([purpose]));
      return { add: (bytes) => void hmac.update(bytes), end: () => hmac.digest() };
    },
  };
}

const derived = (key: Uint8Array): Buffer => Buffer.from(hkdfSync("sha256", key, "", "muster audit seal", KEY_BYTES));
