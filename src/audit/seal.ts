import { timingSafeEqual } from "node:crypto";
import { microseconds } from "./entry-content.ts";
import { fieldBytes } from "./field-bytes.ts";
import type { SealKeys } from "./seal-keys.ts";

/** A place in the order of a project's entries: the transaction, a 64-bit number in decimal, and the sequence in it. */
export interface Place {
  readonly transactionId: string;
  readonly sequence: string;
}

/** Before the first entry. */
export const START: Place = { transactionId: "0", sequence: "0" };
/** What the first seal of a project names as the one before it. */
export const NO_CHAIN: Buffer = Buffer.alloc(32);

/** What a seal says of the entries behind the one before it. Times are whole microseconds since the epoch, in decimal. */
export interface SealContent extends Place {
  readonly projectId: string;
  /** 1, 2, 3, …: without gaps. */
  readonly number: string;
  readonly entries: number;
  /** No entry that it seals was made earlier. */
  readonly firstTime: string;
  /** No entry up to here was made later. */
  readonly lastTime: string;
  /** The HMAC of the entries. */
  readonly digest: Buffer;
  readonly keyId: string;
  readonly sealTime: string;
}

/** That the entries up to a seal, and the seals before it, have been removed because their time was over. */
export interface Pruning {
  /** How many entries of the project that were in all. */
  readonly entries: string;
  readonly time: string;
  readonly keyId: string;
  readonly mac: Buffer;
}

export interface Seal extends SealContent {
  /** The HMAC of the seal and of the one before it. */
  readonly chain: Buffer;
  readonly pruning: Pruning | null;
}

interface SealRow extends Omit<Seal, "pruning"> {
  readonly prunedEntries: string | null;
  readonly pruneTime: string;
  readonly pruneKeyId: string;
  readonly pruneMac: Buffer | null;
}

/** What `sealOf` takes. */
export const SEAL_SQL = `project_id as "projectId", number::text, transaction_id::text as "transactionId", sequence::text, entries,
  ${microseconds("first_time")} as "firstTime", ${microseconds("last_time")} as "lastTime", digest, chain, key_id as "keyId",
  ${microseconds("seal_time")} as "sealTime", pruned_entries::text as "prunedEntries", ${microseconds("prune_time")} as "pruneTime",
  prune_key_id as "pruneKeyId", prune_mac as "pruneMac"`;

/** A seal from a row of `SEAL_SQL`. */
export function sealOf(row: Record<string, unknown>): Seal {
  const { prunedEntries, pruneTime, pruneKeyId, pruneMac, ...seal } = row as unknown as SealRow;
  // A row with some of it is one that somebody changed: what is missing is not what the MAC is of.
  const isPruned = prunedEntries !== null || pruneTime !== null || pruneKeyId !== null || pruneMac !== null;
  const entries = prunedEntries ?? "";
  const pruning = { entries, time: pruneTime ?? "", keyId: pruneKeyId ?? "", mac: pruneMac ?? Buffer.alloc(0) };
  return { ...seal, pruning: isPruned ? pruning : null };
}

/** The chain up to a seal, by the chain up to the one before it. */
export function chainOf(keys: SealKeys, seal: SealContent, before: Buffer): Buffer {
  const mac = keys.mac(seal.keyId, "seal");
  mac.add(sealBytes(seal));
  mac.add(fieldBytes([before.toString("hex")]));
  return mac.end();
}

/** Proves that it was a server that removed the entries up to a seal. */
export function pruneMacOf(keys: SealKeys, seal: Seal, { keyId, entries, time }: Omit<Pruning, "mac">): Buffer {
  const mac = keys.mac(keyId, "prune");
  mac.add(sealBytes(seal));
  mac.add(fieldBytes([seal.chain.toString("hex"), entries, time, keyId]));
  return mac.end();
}

const sealBytes = (seal: SealContent): Buffer =>
  fieldBytes([
    seal.projectId,
    seal.number,
    seal.transactionId,
    seal.sequence,
    String(seal.entries),
    seal.firstTime,
    seal.lastTime,
    seal.digest.toString("hex"),
    seal.keyId,
    seal.sealTime,
  ]);

/** Compares in a time that says nothing of where two MACs differ. */
export const equalMacs = (one: Buffer, other: Buffer): boolean =>
  one.length === other.length && timingSafeEqual(one, other);
