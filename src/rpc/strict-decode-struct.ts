import type { Violation } from "../errors.ts";

/** A Struct is given as JSON. Its limits hold for each Struct: keys per object, levels (itself the first), bytes as JSON. */
const MAX_KEYS = 100;
const MAX_LEVELS = 16;
const MAX_BYTES = 64 * 1024;

/** A JSON value of n bytes is never encoded in fewer than this share of them: an escape such as `\u0001` stands for one byte. */
const SHORTEST_ENCODING = 1 / 6;

/** Adds what is wrong with a string to `violations`. PostgreSQL stores neither NUL nor a lone surrogate. */
export function checkText(text: string, field: string, violations: Violation[]): void {
  if (text.includes("\0")) violations.push({ field, description: "must not hold NUL" });
  if (!text.isWellFormed()) violations.push({ field, description: "must not hold half of a surrogate pair" });
}

/** Adds what is wrong with a key to `violations`. `constructor` and `prototype` are harmless as own members of plain objects. */
export function checkKey(key: string, field: string, violations: Violation[]): void {
  checkText(key, field, violations);
  if (key === "__proto__") violations.push({ field, description: "must not have a key __proto__" });
}

/** Adds what is wrong with a Struct to `violations`; `encodedBytes` is the size of the message it came in, at least its own. */
export function checkStruct(struct: unknown, field: string, encodedBytes: number, violations: Violation[]): void {
  const mayBeLong = encodedBytes > MAX_BYTES * SHORTEST_ENCODING;
  if (mayBeLong && Buffer.byteLength(JSON.stringify(struct)) > MAX_BYTES)
    violations.push({ field, description: `must be at most ${MAX_BYTES} bytes long as JSON` });
  else checkJson(struct, field, 1, violations);
}

function checkJson(value: unknown, field: string, level: number, violations: Violation[]): void {
  if (typeof value === "string") return checkText(value, field, violations);
  if (typeof value === "number") {
    if (!Number.isFinite(value)) violations.push({ field, description: "must be a finite number" });
    return;
  }
  if (typeof value !== "object" || value === null) return;
  if (level > MAX_LEVELS) {
    violations.push({ field, description: `must be at most ${MAX_LEVELS} levels deep` });
    return;
  }
  if (Array.isArray(value)) {
    value.forEach((item, index) => checkJson(item, `${field}[${index}]`, level + 1, violations));
    return;
  }
  const entries = Object.entries(value);
  if (entries.length > MAX_KEYS) violations.push({ field, description: `must have at most ${MAX_KEYS} keys` });
  for (const [key, member] of entries) {
    checkKey(key, field, violations);
    checkJson(member, `${field}.${key}`, level + 1, violations);
  }
}
