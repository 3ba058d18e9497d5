import { createHash, randomBytes } from "node:crypto";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { readToken, spellToken } from "./opaque-token.ts";

const SECRET_BYTES = 32;

/** How long a link is good for. */
export const RESET_TTL_MS = 3_600_000;

/** A token nobody knows, and the digest that it is found by: all that is kept of it. */
export function newResetToken(): { readonly token: string; readonly digest: Buffer } {
  const secret = randomBytes(SECRET_BYTES);
  return { token: spellToken("mrp", secret), digest: digestOf(secret) };
}

/** What a token is found by; undefined for what is none. */
export function resetDigest(token: string): Buffer | undefined {
  const secret = readToken("mrp", token, SECRET_BYTES);
  return secret && digestOf(secret);
}

/** Makes all links of a user worthless, in the transaction of `em`. */
export async function forgetResets(em: SqlEntityManager, projectId: string, userId: string): Promise<void> {
  await em.execute("delete from password_resets where project_id = ? and user_id = ?", [projectId, userId]);
}

const digestOf = (secret: Uint8Array): Buffer => createHash("sha256").update(secret).digest();
