import type { Micros } from "./chain.ts";
import { digestLength } from "./list-digest.ts";

/** What a reader has been told, as far as another stream needs it to go on from there. */
export interface ResumePoint {
  /** Stands for the store with its history, the project, and its default presence: where any of them is another one, nothing holds. */
  readonly origin: number;
  /** Up to when the reader has been told of all that happened to those on its list, on the engine's clock. */
  readonly confirmed: Micros;
  /** When it was last told anything, on the engine's clock. */
  readonly time: Micros;
  /** Who was on the list: a `ListDigest`. */
  readonly list: Buffer;
  /** States it was told of that began later. */
  readonly told: ReadonlySet<number>;
}

/** What a token is made of: the states may be the keys of anything. */
export interface WrittenPoint extends Omit<ResumePoint, "told"> {
  readonly told: { readonly size: number; keys(): Iterable<number> };
}

const VERSION = 2;
const HASH_BYTES = 6;
const HEAD_BYTES = 1 + HASH_BYTES + 8 + 8;

/** A point as a token: opaque to those who keep it, at most 400 bytes. Version, origin, the times, list, then the states. */
export function writeResumeToken({ origin, confirmed, time, list, told }: WrittenPoint): Uint8Array {
  const token = Buffer.allocUnsafe(HEAD_BYTES + list.length + told.size * HASH_BYTES);
  token[0] = VERSION;
  writeHash(token, origin, 1);
  writeMicros(token, confirmed, 1 + HASH_BYTES);
  writeMicros(token, time, 9 + HASH_BYTES);
  token.set(list, HEAD_BYTES);
  let at = HEAD_BYTES + list.length;
  for (const state of told.keys()) {
    writeHash(token, state, at);
    at += HASH_BYTES;
  }
  return token;
}

/** Every message of every stream has a token: without the checks of Node's own this costs a tenth. */
function writeHash(bytes: Buffer, hash: number, at: number): void {
  const high = Math.floor(hash / WORD);
  bytes[at] = high >>> 8;
  bytes[at + 1] = high;
  writeWord(bytes, hash, at + 2);
}

function writeMicros(bytes: Buffer, time: Micros, at: number): void {
  writeWord(bytes, Math.floor(time / WORD), at);
  writeWord(bytes, time, at + 4);
}

/** The lowest 32 bits, of a negative one as well. */
function writeWord(bytes: Buffer, value: number, at: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

const WORD = 2 ** 32;

/** The point of a token; undefined: it is none. */
export function readResumeToken(token: Uint8Array): ResumePoint | undefined {
  const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength);
  if (bytes.length <= HEAD_BYTES || bytes.readUInt8() !== VERSION) return undefined;
  const listLength = digestLength(bytes.readUInt8(HEAD_BYTES));
  if (listLength === undefined) return undefined;
  const rest = bytes.length - HEAD_BYTES - listLength;
  if (rest < 0 || rest % HASH_BYTES > 0) return undefined;
  const told = new Set<number>();
  for (let at = bytes.length - rest; at < bytes.length; at += HASH_BYTES) told.add(bytes.readUIntBE(at, HASH_BYTES));
  return {
    origin: bytes.readUIntBE(1, HASH_BYTES),
    confirmed: Number(bytes.readBigInt64BE(1 + HASH_BYTES)),
    time: Number(bytes.readBigInt64BE(9 + HASH_BYTES)),
    list: bytes.subarray(HEAD_BYTES, HEAD_BYTES + listLength),
    told,
  };
}
