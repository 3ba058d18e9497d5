import { createHash } from "node:crypto";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import type { CheckedTimes } from "../tokens/jwt-claims.ts";
import { CLOCK_LEEWAY_MS } from "../tokens/jwt-claims.ts";
import type { JsonValue } from "../tokens/strict-json.ts";
import { refused } from "../tokens/strict-jwt.ts";
import type { ProjectScope } from "../users/users.ts";

/** $1 project, $2 digest of the `jti`, $3 the end of its use. */
const USE: Statement = {
  name: "external_jwts_use",
  text: `insert into external_jwts (project_id, jti_digest, expire_time) values ($1, $2, $3)
    on conflict do nothing returning true as used`,
};

/** The longest that `external_jwt_max_age` can be: raised later, it takes no JWT that was used before. In milliseconds. */
const MOST_AGE_MS = 30 * 86_400_000;

/** The name by which a JWT is good once. TOKEN_INVALID where it has none. */
export function requireJti(jti: JsonValue | undefined): string {
  if (typeof jti !== "string" || jti === "") throw refused("jti is missing, which single use needs");
  return jti;
}

/** Uses a JWT up; of any number of calls one succeeds. Kept until the JWT cannot be taken any more, whatever the settings become. TOKEN_INVALID. */
export async function useExternalJwt(
  { pool }: Pick<Database, "pool">,
  { projectId, signal }: ProjectScope,
  jti: string,
  { issuedAt, expiresAt }: CheckedTimes,
): Promise<void> {
  const digest = createHash("sha256").update(jti).digest();
  const ends = Math.min(expiresAt, issuedAt === undefined ? expiresAt : issuedAt + MOST_AGE_MS);
  const values = [projectId, digest, new Date(ends + 2 * CLOCK_LEEWAY_MS)];
  const used = await query(pool, USE, values, signal);
  if (used.length === 0) throw refused("jti was used before");
}
