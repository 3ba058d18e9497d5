import type { Clock } from "../clock.ts";
import { createLastKnown } from "../db/last-known.ts";
import { lookUp } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import type { NamedStatement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { isSecret, parseAccessCredential } from "./access-credential.ts";
import { LAST_KNOWN } from "./project-directory.ts";

/** The access key that a credential proved. */
export interface VerifiedAccessKey {
  readonly projectId: string;
  readonly accessKeyId: string;
}

export interface AccessKeyVerifier {
  /** The key that a credential belongs to. CREDENTIAL_INVALID, the same for an unknown, a wrong and a revoked one. */
  verify(credential: string): Promise<VerifiedAccessKey>;
  /** Makes this process read the key anew. */
  forget(keyId: string): void;
}

/** $1 key. The credential is what tells the project, so this one look-up goes over all of them. */
const FIND_KEY: NamedStatement = {
  name: "access_keys_find",
  text: `select project_id as "projectId", id as "accessKeyId", secret_digest as digest
    from access_keys where id = $1 and revoke_time is null`,
};

/** Reads a key at most twice a second, so that a revocation reaches every server within a second. */
export function createAccessKeyVerifier(db: Database, clock: Clock): AccessKeyVerifier {
  const keys = createLastKnown({
    ...LAST_KNOWN,
    clock,
    async load(id: string) {
      const [key] = await lookUp<VerifiedAccessKey & { digest: Buffer }>(db, FIND_KEY, [id]);
      return key;
    },
  });
  return {
    async verify(credential) {
      const parsed = parseAccessCredential(credential);
      if (!parsed) throw new MusterError("CREDENTIAL_INVALID");
      const key = await keys.get(parsed.keyId);
      if (!key || !isSecret(parsed.secret, key.digest)) throw new MusterError("CREDENTIAL_INVALID");
      const { digest: _, ...verified } = key;
      return verified;
    },
    forget: (keyId) => keys.forget(keyId),
  };
}
