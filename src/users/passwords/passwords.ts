import type { Clock } from "../../clock.ts";
import { lookUp } from "../../db/look-up.ts";
import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import type { Logger } from "../../logger.ts";
import type { ProjectScope } from "../find-user.ts";
import { KEYS, type UserKey } from "../user-key.ts";
import { unknownHash } from "./argon2-hash.ts";
import { createHashQueue, type HashQueue } from "./hash-queue.ts";
import { type PasswordHash, parsePasswordHash } from "./password-hash.ts";
import { type PasswordHasher, passwordHasher } from "./password-hasher.ts";
import { bytesOf, createPasswordRules } from "./password-rules.ts";
import { FIND_PASSWORD, type PasswordRow, REHASH } from "./password-statements.ts";

export type { PasswordHasher } from "./password-hasher.ts";

export interface PasswordPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hasher?: PasswordHasher | undefined;
  readonly queue?: HashQueue;
}

/** Whose password was given. */
export interface VerifiedPassword {
  readonly userId: string;
  /** Changes whenever the password is set, and not when it is hashed anew: whoever acts on it checks that it is still the same. */
  readonly passwordId: string;
}

export interface Passwords {
  /** How many hashes wait for their turn. */
  readonly waiting: number;
  /** A new password as it is kept. PASSWORD_WEAK, RATE_LIMITED. */
  hash(password: string, signal?: AbortSignal): Promise<string>;
  /**
   * The user that a key names, if it can be signed in and the password is its own. Nobody, a user without a password, one that is
   * suspended and a wrong password take the same work and have the same answer: undefined. RATE_LIMITED.
   */
  verify(scope: ProjectScope, key: UserKey, password: string): Promise<VerifiedPassword | undefined>;
}

/** Keeps passwords and checks them. */
export function createPasswords(ports: PasswordPorts): Passwords {
  const { db, clock, hasher = passwordHasher, queue = createHashQueue() } = ports;
  const rules = createPasswordRules();
  const checks = createChecks(ports, hasher);

  return {
    get waiting() {
      return queue.waiting;
    },
    async hash(password, signal) {
      const bytes = await rules.require(password);
      return queue.run(() => hasher.hash(bytes), signal);
    },
    async verify(scope, key, password) {
      const values = [scope.projectId, KEYS[key.by].comparable(key.value), new Date(clock.now())];
      const [found] = await lookUp<PasswordRow & Record<string, unknown>>(
        db,
        FIND_PASSWORD[key.by],
        values,
        scope.signal,
      );
      const { rehash, ...checked } = await queue.run(() => checks.check(found, password), scope.signal);
      if (!checked.matches || !found?.passwordId || found.blocked) return undefined;
      if (rehash) await checks.keep(scope.projectId, found, rehash);
      return { userId: found.userId, passwordId: found.passwordId };
    },
  };
}

/**
 * The work of a check. Whoever is asked for, exactly one hash of today's strength is computed: the one that is kept, or one in its place.
 * A hash from elsewhere, or of before the strength rose, comes on top of it, until its user has signed in once.
 */
function createChecks({ db, logger }: PasswordPorts, hasher: PasswordHasher) {
  const nobodys = parsePasswordHash(unknownHash()) as PasswordHash;

  async function check(found: PasswordRow | undefined, password: string) {
    const kept = keptHash(found);
    if (!kept) {
      await hasher.matches(nobodys, bytesOf(password));
      return { matches: false };
    }
    // Other systems hashed what they were sent, and not its NFC.
    const given = found?.imported ? Buffer.from(password, "utf8") : bytesOf(password);
    const matches = await hasher.matches(kept, given);
    if (kept.isCurrent && !found?.imported) return { matches };
    // What was not looked at may be mistyped: such a password is not known well enough to be hashed anew.
    if (matches && !found?.blocked && given.length <= kept.significantBytes)
      return { matches, rehash: await hasher.hash(bytesOf(password)) };
    await hasher.matches(nobodys, bytesOf(password));
    return { matches };
  }

  function keptHash(found: PasswordRow | undefined): PasswordHash | undefined {
    if (!found?.phc) return undefined;
    const hash = parsePasswordHash(found.phc);
    if (typeof hash !== "string") return hash;
    logger.error({ userId: found.userId, fault: hash }, "a password's hash cannot be read");
    return undefined;
  }

  /** A sign-in does not fail for it: the next one tries again. */
  async function keep(projectId: string, { userId, passwordId, phc }: PasswordRow, rehash: string): Promise<void> {
    await query(db.pool, REHASH, [projectId, userId, passwordId, phc, rehash]).catch((error: unknown) =>
      logger.warn({ err: error, userId }, "a password was not hashed anew"),
    );
  }

  return { check, keep };
}
