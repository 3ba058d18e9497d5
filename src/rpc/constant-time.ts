import { createHash, timingSafeEqual } from "node:crypto";

/** Whether two secrets are equal, in a time that tells neither their content nor their length. */
export const equalSecrets = (a: string, b: string): boolean => timingSafeEqual(digestOf(a), digestOf(b));

const digestOf = (secret: string): Buffer => createHash("sha256").update(secret).digest();
