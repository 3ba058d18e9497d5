import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from "node:crypto";

/** What a sealed secret is bound to: moved to another place, it does not open. */
export interface SealContext {
  /** What kind of secret it is, such as `signing-key`. */
  readonly purpose: string;
  readonly projectId: string;
  /** The id of the thing the secret belongs to. */
  readonly id: string;
}

/** Keeps secrets at rest unreadable and unchangeable without the instance's encryption keys (AES-256-GCM, NIST SP 800-38D). */
export interface Sealer {
  /** Seals under the first key. */
  seal(secret: Uint8Array, context: SealContext): Buffer;
  /** The ids of the keys, the one that seals first. */
  readonly keyIds: readonly string[];
  /** Opens what any of the keys sealed. Tampered, moved, or sealed under a key that is not there: a fault of the server, throws. */
  open(sealed: Uint8Array, context: SealContext): Buffer;
}

/** The form: version (1 byte), key id (4), nonce (12), authentication tag (16), ciphertext. */
const VERSION = 1;
const KEY_BYTES = 32;
/** How many bytes at the start of what is sealed name the form and the key. */
export const PREFIX_BYTES = 5;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const OVERHEAD = PREFIX_BYTES + NONCE_BYTES + TAG_BYTES;

/** `keys` are 32 bytes each: the first one seals, all of them open, so that a key is rotated by putting a new one before it. */
export function createSealer(keys: readonly Uint8Array[]): Sealer {
  const [first, ...others] = keys.map(prefixed);
  if (!first) throw new RangeError("sealing needs an encryption key");
  return {
    keyIds: [first, ...others].map(({ prefix }) => sealingKeyId(prefix)),
    seal: (secret, context) => sealUnder(first, secret, context),
    open(sealed, context) {
      const candidates = [first, ...others].filter(({ prefix }) => prefix.equals(sealed.subarray(0, PREFIX_BYTES)));
      for (const key of candidates) {
        const secret = openUnder(key, sealed, context);
        if (secret) return secret;
      }
      const why =
        candidates.length > 0 ? "it was changed or belongs elsewhere" : "its encryption key is not configured";
      throw new Error(`a sealed ${context.purpose} does not open: ${why}`);
    },
  };
}

/** The id of an encryption key, as `Sealer.keyIds` gives it. */
export const encryptionKeyId = (key: Uint8Array): string => sealingKeyId(prefixed(key).prefix);

/** The id of the key that something is sealed under, which says nothing about the key: 8 hexadecimal digits. */
export const sealingKeyId = (sealed: Uint8Array): string =>
  Buffer.from(sealed.subarray(1, PREFIX_BYTES)).toString("hex");

interface PrefixedKey {
  /** Of the bytes, each use would make one anew, which costs more than to seal something. */
  readonly key: KeyObject;
  /** Version and key id. The id says which key to try and nothing about the key. */
  readonly prefix: Buffer;
}

function prefixed(key: Uint8Array): PrefixedKey {
  if (key.length !== KEY_BYTES) throw new RangeError(`an encryption key has ${KEY_BYTES} bytes, not ${key.length}`);
  const digest = createHash("sha256").update("muster key id\0").update(key).digest();
  return { key: createSecretKey(key), prefix: Buffer.from([VERSION, ...digest.subarray(0, PREFIX_BYTES - 1)]) };
}

function sealUnder({ key, prefix }: PrefixedKey, secret: Uint8Array, context: SealContext): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedData(prefix, context));
  const ciphertext = Buffer.concat([cipher.update(secret), cipher.final()]);
  return Buffer.concat([prefix, nonce, cipher.getAuthTag(), ciphertext]);
}

function openUnder({ key, prefix }: PrefixedKey, sealed: Uint8Array, context: SealContext): Buffer | undefined {
  if (sealed.length < OVERHEAD) return undefined;
  const nonce = sealed.subarray(PREFIX_BYTES, PREFIX_BYTES + NONCE_BYTES);
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData(prefix, context));
  decipher.setAuthTag(sealed.subarray(PREFIX_BYTES + NONCE_BYTES, OVERHEAD));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(OVERHEAD)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/** A JSON array, so that no two contexts give the same bytes. */
const associatedData = (prefix: Buffer, { purpose, projectId, id }: SealContext): Buffer =>
  Buffer.concat([prefix, Buffer.from(JSON.stringify([purpose, projectId, id]))]);
