import { randomFillSync } from "node:crypto";
import type { Clock } from "./clock.ts";

/** Gives ids: UUIDs of version 7 (RFC 9562 §5.7), in lower case, rising within a process, so that indexes grow at their end. */
export type NewId = () => string;

/** 12 bits count the ids of one millisecond; the 62 after them are random. */
export function createIds(clock: Clock): NewId {
  const pool = Buffer.allocUnsafe(16 * 256);
  let used = pool.length;
  let last = 0;
  let counter = 0;
  return () => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const at = used;
    used += 16;
    const now = clock.now();
    if (now > last) {
      last = now;
      // Starts in the lower half, so that the counter has room to rise.
      counter = pool.readUInt16BE(at + 6) & 0x7ff;
    } else if (++counter > 0xfff) {
      last++;
      counter = 0;
    }
    pool.writeUIntBE(last, at, 6);
    pool.writeUInt16BE(0x7000 | counter, at + 6);
    pool[at + 8] = 0x80 | (pool.readUInt8(at + 8) & 0x3f);
    const hex = pool.toString("hex", at, used);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  };
}

/** The form of every id that Muster assigns. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
