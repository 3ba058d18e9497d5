/** A list of up to so many is kept whole, of 6 bytes each; a longer one as the sums of as many parts of it. */
const MOST_KEPT = 32;
const PARTS = 32;
const HASH_BYTES = 6;
/** The first byte where only sums are kept. */
const SUMS = 255;

/**
 * What a list held, in at most 193 bytes, kept up as it changes: while it is short the hash of each thing, and from then on the sum
 * (by exclusive or) of the hashes in each of 32 parts. A part with the same sum holds the same things.
 */
export class ListDigest {
  #kept: Set<number> | undefined = new Set();
  #sums: PartSums | undefined;
  /** What it is written as, until it changes. */
  #bytes: Buffer | undefined;

  /** Adds what is not on the list. */
  add(hash: number): void {
    this.#bytes = undefined;
    this.#sums?.toggle(hash);
    if (!this.#kept) return;
    this.#kept.add(hash);
    if (this.#kept.size <= MOST_KEPT) return;
    this.#sums = new PartSums(this.#kept);
    this.#kept = undefined;
  }

  /** Takes off what is on the list. */
  delete(hash: number): void {
    this.#bytes = undefined;
    this.#kept?.delete(hash);
    this.#sums?.toggle(hash);
  }

  /** For reading only. */
  toBytes(): Buffer {
    this.#bytes ??= this.#write();
    return this.#bytes;
  }

  #write(): Buffer {
    if (this.#sums) return Buffer.concat([Buffer.of(SUMS), this.#sums.toBytes()]);
    const hashes = [...(this.#kept ?? [])];
    const bytes = Buffer.alloc(1 + hashes.length * HASH_BYTES);
    bytes.writeUInt8(hashes.length);
    for (const [index, hash] of hashes.entries()) bytes.writeUIntBE(hash, 1 + index * HASH_BYTES, HASH_BYTES);
    return bytes;
  }
}

/** How many bytes a digest has, by its first; undefined: there is none such. */
export function digestLength(first: number): number | undefined {
  if (first === SUMS) return 1 + PARTS * HASH_BYTES;
  return first <= MOST_KEPT ? 1 + first * HASH_BYTES : undefined;
}

/**
 * Of what is on a list now, what was on it when `digest` was made: all of that while the list was short. Of a longer one, what is in a
 * part that has changed counts as new, unless the part has but one more.
 */
export function listedBefore(digest: Buffer, now: ReadonlySet<number>): Set<number> {
  const before = new Set<number>();
  if (digest.readUInt8() !== SUMS) {
    for (let at = 1; at < digest.length; at += HASH_BYTES) before.add(digest.readUIntBE(at, HASH_BYTES));
    return before.intersection(now);
  }
  const sums = new PartSums(now);
  for (const hash of now) {
    const difference = sums.difference(digest, hash);
    if (difference === 0 || (difference !== hash && now.has(difference))) before.add(hash);
  }
  return before;
}

class PartSums {
  /** Two words of each part: the upper 16 bits and the lower 32. */
  readonly #words = new Uint32Array(2 * PARTS);

  constructor(hashes: Iterable<number>) {
    for (const hash of hashes) this.toggle(hash);
  }

  toggle(hash: number): void {
    const part = 2 * (hash % PARTS);
    this.#words[part] = (this.#words[part] as number) ^ Math.floor(hash / 2 ** 32);
    this.#words[part + 1] = (this.#words[part + 1] as number) ^ (hash % 2 ** 32);
  }

  toBytes(): Buffer {
    const bytes = Buffer.alloc(PARTS * HASH_BYTES);
    for (let part = 0; part < PARTS; part++) bytes.writeUIntBE(this.#sumOf(part), part * HASH_BYTES, HASH_BYTES);
    return bytes;
  }

  /** What the part of `hash` has here and not in `digest`, or the other way round: 0, nothing; a hash, if it is but one. */
  difference(digest: Buffer, hash: number): number {
    const part = hash % PARTS;
    const at = 1 + part * HASH_BYTES;
    const high = (this.#words[2 * part] as number) ^ digest.readUInt16BE(at);
    const low = (this.#words[2 * part + 1] as number) ^ digest.readUInt32BE(at + 2);
    return high * 2 ** 32 + (low >>> 0);
  }

  #sumOf(part: number): number {
    return (this.#words[2 * part] as number) * 2 ** 32 + (this.#words[2 * part + 1] as number);
  }
}
