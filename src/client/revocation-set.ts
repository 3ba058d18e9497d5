/** What a token stands on, as its claims say; times in milliseconds since the epoch. */
export interface TokenStanding {
  readonly tokenId: string;
  readonly sessionId: string | undefined;
  readonly userId: string;
  readonly keyId: string;
  readonly issuedAt: number;
}

/** What ended: one token, all of a session, all of a key, or all that was issued to a user before a moment. */
export type RevokedSubject =
  | { readonly tokenId: string }
  | { readonly sessionId: string }
  | { readonly keyId: string }
  | { readonly userId: string; readonly beforeTime: number };

/** Looked through for what can be forgotten at most this often. */
const SWEEP_EVERY_MS = 60_000;

/**
 * The revocations of a project that still matter. A revocation is never taken back, so adding one twice, or in another order, changes
 * nothing. One is forgotten when no token it concerns can be alive: some 100 bytes each until then.
 */
export class RevocationSet {
  /** When each may be forgotten, in milliseconds since the epoch. Ids of tokens, sessions and keys are UUIDs: they never meet. */
  readonly #ids = new Map<string, number>();
  readonly #users = new Map<string, { readonly beforeTime: number; readonly forgetAfter: number }>();
  #sweptAt = Number.NEGATIVE_INFINITY;

  /** How many are remembered. */
  get size(): number {
    return this.#ids.size + this.#users.size;
  }

  add(subject: RevokedSubject, forgetAfter: number): void {
    if ("userId" in subject) {
      const known = this.#users.get(subject.userId);
      this.#users.set(subject.userId, {
        beforeTime: Math.max(subject.beforeTime, known?.beforeTime ?? 0),
        forgetAfter: Math.max(forgetAfter, known?.forgetAfter ?? 0),
      });
      return;
    }
    const id = "tokenId" in subject ? subject.tokenId : "sessionId" in subject ? subject.sessionId : subject.keyId;
    this.#ids.set(id, Math.max(forgetAfter, this.#ids.get(id) ?? 0));
  }

  covers({ tokenId, sessionId, userId, keyId, issuedAt }: TokenStanding): boolean {
    if (this.#ids.has(tokenId) || this.#ids.has(keyId)) return true;
    if (sessionId !== undefined && this.#ids.has(sessionId)) return true;
    const user = this.#users.get(userId);
    return user !== undefined && issuedAt < user.beforeTime;
  }

  /** Forgets what no living token is concerned by at `now`. */
  sweep(now: number): void {
    if (now < this.#sweptAt + SWEEP_EVERY_MS && now >= this.#sweptAt) return;
    this.#sweptAt = now;
    for (const [id, forgetAfter] of this.#ids) if (forgetAfter < now) this.#ids.delete(id);
    for (const [id, user] of this.#users) if (user.forgetAfter < now) this.#users.delete(id);
  }
}
