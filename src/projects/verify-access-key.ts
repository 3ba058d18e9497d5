import type { Clock } from "../clock.ts";
import { createLastKnown } from "../db/last-known.ts";
import { lookUp } from "../db/look-up.ts";
import type { Database } from "../db/orm.ts";
import type { NamedStatement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import { type AccessCredential, isSecret, parseAccessCredential } from "./access-credential.ts";
import { LAST_KNOWN } from "./project-directory.ts";

/** The access key that a credential proved. */
export interface VerifiedAccessKey {
  readonly projectId: string;
  readonly accessKeyId: string;
}

export interface AccessKeyVerifier {
  /** The key that a credential belongs to, at once if it was read just now. CREDENTIAL_INVALID, the same for an unknown, a wrong and a revoked one. */
  verify(credential: string): VerifiedAccessKey | Promise<VerifiedAccessKey>;
  /** Makes this process read the key anew. */
  forget(keyId: string): void;
}

/** $1 key. The credential is what tells the project, so this one look-up goes over all of them. */
const FIND_KEY: NamedStatement = {
  name: "access_keys_find",
  text: `select project_id as "projectId", id as "accessKeyId", secret_digest as digest
    from access_keys where id = $1 and revoke_time is null`,
};

interface KnownKey {
  readonly verified: VerifiedAccessKey;
  readonly digest: Buffer;
}

/** Reads a key at most twice a second, so that a revocation reaches every server within a second. */
export function createAccessKeyVerifier(db: Database, clock: Clock): AccessKeyVerifier {
  const keys = createLastKnown<KnownKey>({
    ...LAST_KNOWN,
    clock,
    async load(id) {
      const [key] = await lookUp<VerifiedAccessKey & { digest: Buffer }>(db, FIND_KEY, [id]);
      return key && { verified: { projectId: key.projectId, accessKeyId: key.accessKeyId }, digest: key.digest };
    },
  });
  return {
    verify(credential) {
      const parsed = parseAccessCredential(credential);
      if (!parsed) throw new MusterError("CREDENTIAL_INVALID");
      const known = keys.known(parsed.keyId);
      if (known) return proved(known, parsed);
      return keys.get(parsed.keyId).then((key) => proved(key, parsed));
    },
    forget: (keyId) => keys.forget(keyId),
  };
}

function proved(key: KnownKey | undefined, { secret }: AccessCredential): VerifiedAccessKey {
  if (!key || !isSecret(secret, key.digest)) throw new MusterError("CREDENTIAL_INVALID");
  return key.verified;
}
