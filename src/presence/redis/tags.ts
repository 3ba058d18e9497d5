import { keyOf, type Subject } from "../engine.ts";

/**
 * Users are spread over so many hash tags. All keys of a tag, and its channel, are on one server of a cluster; a process listens to
 * the tags of the users it watches, so to this many channels at most.
 */
export const TAGS = 1_024;
/** The slots of a Redis Cluster. */
const SLOTS = 16_384;

/** CRC-16/XMODEM, which Redis Cluster spreads keys by. */
function crc16(text: string): number {
  let crc = 0;
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

/** The tag of a user: always the same one. */
export function tagOf({ userId }: Subject): number {
  // FNV-1a: cheap, and even where ids differ in their last digits only.
  let hash = 0x811c9dc5;
  for (let index = 0; index < userId.length; index++) hash = Math.imul(hash ^ userId.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 15)) & (TAGS - 1);
}

/** Where a user's record is kept. */
export const recordKey = (tag: number, subject: Subject): string => `muster:{${tag}}:${keyOf(subject)}`;

/** The user that a record is of; undefined: the key is not one of a record. */
export function subjectOf(key: string): Subject | undefined {
  const [, projectId, userId] = /^muster:\{\d+\}:([0-9a-f-]{36})\/([0-9a-f-]{36})$/.exec(key) ?? [];
  return projectId && userId ? { projectId, userId } : undefined;
}

/** What all keys of records look like, to Redis. */
export const RECORD_KEYS = "muster:{*}:*";

/** Where changes of a tag's users are told. */
export const channelOf = (tag: number): string => `muster:{${tag}}`;

const SLOT_OF_TAG = Uint16Array.from({ length: TAGS }, (_, tag) => crc16(String(tag)) % SLOTS);

/** The slot of a cluster that a tag is in. */
export const slotOf = (tag: number): number => SLOT_OF_TAG[tag] ?? 0;
