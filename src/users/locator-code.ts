import { createHash, randomInt, timingSafeEqual } from "node:crypto";
import type { SealedColumn } from "../db/sealed-column.ts";
import type { Sealer } from "../sealing.ts";
import type { LocatorKey } from "./locator.ts";

/** How long a code is good for. */
export const CODE_TTL_MS = 15 * 60_000;
/** How many codes may be tried against one. */
export const MOST_TRIES = 5;
const DIGITS = 8;

/** What a code is for. */
export interface CodeSubject extends LocatorKey {
  readonly projectId: string;
  readonly userId: string;
}

/** A code nobody knows: 8 digits, each as likely as any other. */
export const newCode = (): string => String(randomInt(10 ** DIGITS)).padStart(DIGITS, "0");

/** A code in the form it is kept in. */
export const sealCode = (sealer: Sealer, subject: CodeSubject, code: string): Buffer =>
  sealer.seal(digestOf(code), contextOf(subject));

/** Whether a code is the one that is kept, in a time that does not tell how much of it is right. */
export const isCode = (sealer: Sealer, subject: CodeSubject, sealed: Uint8Array, code: string): boolean =>
  timingSafeEqual(sealer.open(sealed, contextOf(subject)), digestOf(code));

const digestOf = (code: string): Buffer => createHash("sha256").update(code).digest();

const contextOf = ({ projectId, userId, type, key }: CodeSubject) => ({
  purpose: "locator-code",
  projectId,
  id: JSON.stringify([userId, type, key]),
});

export const SEALED_LOCATOR_CODES: SealedColumn = {
  table: "locator_codes",
  column: "sealed_digest",
  key: ["project_id", "type", "key"],
  others: ["user_id"],
  contextOf: ({ project_id: projectId = "", user_id: userId = "", type = "", key = "" }) =>
    contextOf({ projectId, userId, type: type as CodeSubject["type"], key }),
};
