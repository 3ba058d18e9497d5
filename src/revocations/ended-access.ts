import type { Clock } from "../clock.ts";
import type { Revocation, RevocationCause } from "./revocation.ts";

/** By what somebody was let in. */
export interface Access {
  readonly projectId: string;
  readonly accessKeyId?: string | undefined;
  readonly userId?: string | undefined;
  readonly tokenId?: string | undefined;
  readonly sessionId?: string | undefined;
  /** The key the token was signed with. */
  readonly keyId?: string | undefined;
  /** When the token was issued or the session began, in milliseconds since the epoch. */
  readonly issuedAt?: number | undefined;
}

/** What ended lately: longer than a call may take from its credential to its stream. */
const KEPT_MS = 600_000;

interface End {
  readonly projectId: string;
  readonly cause: RevocationCause;
  /** Only what began before ended, in milliseconds since the epoch. */
  readonly before: number;
  readonly heardAt: number;
  /** As `told` was when it was heard of. */
  readonly told: number;
}

/** Remembers what ended in the last ten minutes. Ids are unique over all projects, and are compared with theirs nevertheless. */
export class EndedAccess {
  readonly #clock: Clock;
  /** By the id of what ended, in the order it was heard of. */
  readonly #ends = new Map<string, End>();
  #told = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How often something was told. */
  get told(): number {
    return this.#told;
  }

  add(revocations: readonly Revocation[]): void {
    const heardAt = this.#clock.monotonic();
    const told = ++this.#told;
    for (const { projectId, subject, cause } of revocations) {
      const id = "wholeProject" in subject ? projectId : (Object.values(subject)[0] as string);
      const before = "beforeTime" in subject ? subject.beforeTime.getTime() : Number.POSITIVE_INFINITY;
      // What is heard later may reach less far, as a suspension that began a while ago does.
      const last = this.#ends.get(id);
      this.#ends.delete(id);
      this.#ends.set(id, { projectId, cause, before: Math.max(before, last?.before ?? 0), heardAt, told });
    }
    for (const [id, end] of this.#ends) {
      if (end.heardAt > heardAt - KEPT_MS) break;
      this.#ends.delete(id);
    }
  }

  /** Why access is over, if it has ended. */
  causeFor({
    projectId,
    accessKeyId,
    userId,
    tokenId,
    sessionId,
    keyId,
    issuedAt = 0,
  }: Access): RevocationCause | undefined {
    for (const id of [userId, tokenId, sessionId, keyId, accessKeyId, projectId]) {
      const end = id === undefined ? undefined : this.#ends.get(id);
      if (end?.projectId === projectId && issuedAt < end.before) return end.cause;
    }
    return undefined;
  }

  /**
   * Whether, in the last ten minutes and since `told` was as given, something ended that the access stands on: whenever it began, as the user
   * of an end may have lost more than its date says.
   */
  hasEndedSince({ projectId, accessKeyId, userId, tokenId, sessionId, keyId }: Access, told: number): boolean {
    if (told === this.#told) return false;
    const isSince = (id: string | undefined) => id !== undefined && (this.#ends.get(id)?.told ?? 0) > told;
    return [userId, tokenId, sessionId, keyId, accessKeyId, projectId].some(isSince);
  }
}
