import { type Clock, systemClock } from "../clock.ts";
import { MusterError } from "../errors.ts";
import { checkClaims } from "../tokens/jwt-claims.ts";
import { createSignatureCache } from "../tokens/signature-cache.ts";
import type { JsonObject } from "../tokens/strict-json.ts";
import { type ParsedJwt, parseJwt } from "../tokens/strict-jwt.ts";
import { KeySet, type VerifyingKey } from "./key-set.ts";
import { RevocationFollower, type RevocationMessage } from "./revocation-follower.ts";
import { RevocationSet, type TokenStanding } from "./revocation-set.ts";
import { type RevocationSource, revocationSource } from "./revocation-source.ts";
import { TokenRefused } from "./token-refused.ts";

export { type RefusalReason, TokenRefused } from "./token-refused.ts";

export interface VerifierOptions {
  /** The issuer of the project's tokens: the public URL of Muster and `/projects/<project id>`. */
  readonly issuer: string;
  /** An access key of the project: the stream of revocations is for services only. */
  readonly accessKey: string;
  /** Where this service reaches Muster, if that is another address than the issuer names, such as `http://muster.internal:8080`. */
  readonly url?: string;
  /** What has to be among the token's `aud`. Default: the project id. */
  readonly audience?: string;
  /** What becomes of tokens while the verifier is stale: `refuse` them all (the default), or `accept` those it knows no harm of. */
  readonly whenStale?: "refuse" | "accept";
  /** From which silence of the stream of revocations on it is stale, in milliseconds, 1,000 at least. Default: 10,000. */
  readonly maxStalenessMs?: number;
  /** Hears of what goes wrong behind its back: a stream that broke, a JWKS that cannot be read. It goes on by itself. */
  readonly onError?: (error: unknown) => void;
  /** For tests. */
  readonly clock?: Clock;
}

/** What a token that is let pass says; times in milliseconds since the epoch. */
export interface VerifiedAccess {
  readonly userId: string;
  /** The user's id in the project's own system. */
  readonly externalId: string;
  readonly tokenId: string;
  /** The session it belongs to, if it came of a sign-in. */
  readonly sessionId: string | undefined;
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly audience: readonly string[];
  /** All claims, the issuer's own ones included. */
  readonly claims: JsonObject;
}

export interface VerifierStatus {
  /** Whether the stream of revocations is open and has told all. */
  readonly connected: boolean;
  /** How long ago the verifier last knew of all revocations, in milliseconds; infinite before the first time. */
  readonly staleMs: number;
  /** Whether that is longer than `maxStalenessMs`. */
  readonly stale: boolean;
  /** How many signing keys of the project are known. */
  readonly keys: number;
  /** How many revocations are remembered. */
  readonly revocations: number;
}

/** Checks the access tokens of a project in this process: no call per token. */
export interface Verifier extends AsyncDisposable {
  /** Resolves when the keys and all revocations are there: until then the verifier is stale. */
  readonly ready: Promise<void>;
  /** Says whose token it is. Throws TokenRefused. Waits for nothing unless the token names a key that is not known yet. */
  verify(token: string): Promise<VerifiedAccess>;
  status(): VerifierStatus;
}

/** Access tokens (RFC 9068 §2.1) and nothing else that a key of the project may have signed. */
const FORM = { type: "at+jwt" };
/** The issuer bounds the life of its tokens; a verifier does not know the project's setting, only the most that it can be. */
const MAX_LIFETIME_MS = 366 * 86_400_000;
const DEFAULT_STALENESS_MS = 10_000;
const LEAST_STALENESS_MS = 1_000;

const PROJECT_ISSUER = /^(https?:\/\/.+)\/projects\/([0-9a-f-]{36})$/;

/** Starts a verifier. It keeps a stream to Muster open until it is disposed. Throws a TypeError for options that cannot be. */
export function createVerifier(options: VerifierOptions): Verifier {
  const [, publicUrl, projectId] = PROJECT_ISSUER.exec(options.issuer) ?? [];
  if (!publicUrl || !projectId) throw new TypeError("issuer must be the URL of Muster and /projects/<project id>");
  const url = (options.url ?? publicUrl).replace(/\/+$/, "");
  return new LocalVerifier(options, projectId, url, revocationSource(url, options.accessKey));
}

/** What was found of a token when its signature was checked: all that does not change. */
interface KnownToken {
  readonly access: VerifiedAccess;
  readonly standing: TokenStanding;
  readonly key: VerifyingKey;
}

/** `createVerifier` over any source of revocations. */
export class LocalVerifier implements Verifier {
  readonly ready: Promise<void>;
  readonly #issuer: string;
  readonly #audience: string;
  readonly #whenStale: "refuse" | "accept";
  readonly #maxStalenessMs: number;
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #keys: KeySet;
  readonly #revocations = new RevocationSet();
  readonly #follower: RevocationFollower;
  readonly #source: RevocationSource;
  readonly #tokens = createSignatureCache<KnownToken>();

  constructor(options: VerifierOptions, projectId: string, url: string, source: RevocationSource) {
    const { issuer, whenStale = "refuse", maxStalenessMs = DEFAULT_STALENESS_MS, clock = systemClock } = options;
    if (!(maxStalenessMs >= LEAST_STALENESS_MS))
      throw new TypeError(`maxStalenessMs must be at least ${LEAST_STALENESS_MS}`);
    this.#issuer = issuer;
    this.#audience = options.audience ?? projectId;
    this.#whenStale = whenStale;
    this.#maxStalenessMs = maxStalenessMs;
    this.#clock = clock;
    this.#onError = options.onError ?? (() => {});
    this.#keys = new KeySet({ url: `${url}/projects/${projectId}/.well-known/jwks.json`, clock, fetch });
    this.#source = source;
    this.#follower = new RevocationFollower({
      open: (resumeToken, signal) => this.#open(resumeToken, signal),
      onRevoked: (subject, forgetAfter) => this.#revocations.add(subject, forgetAfter),
      onError: this.#onError,
      clock,
      maxSilenceMs: source.maxSilenceMs,
    });
    this.ready = this.#follower.synced;
  }

  async verify(token: string): Promise<VerifiedAccess> {
    if (this.#whenStale === "refuse" && this.#stale) throw new TokenRefused("VERIFIER_STALE");
    if (this.#keys.due) void this.#keys.refresh().catch(this.#onError);
    try {
      const known = this.#tokens.get(token);
      // A key that was taken out of the JWKS since takes its tokens with it.
      const valid = known && this.#keys.known(known.key.id) === known.key ? known : await this.#check(token);
      return this.#standing(valid);
    } catch (error) {
      throw refusalOf(error);
    }
  }

  status(): VerifierStatus {
    const { connected, staleMs } = this.#follower;
    return { connected, staleMs, stale: this.#stale, keys: this.#keys.size, revocations: this.#revocations.size };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#follower[Symbol.asyncDispose]();
    await this.#source[Symbol.asyncDispose]();
  }

  get #stale(): boolean {
    return this.#follower.staleMs > this.#maxStalenessMs;
  }

  /** Form, signature and claims: what need not be looked at again. */
  async #check(token: string): Promise<KnownToken> {
    const jwt = parseJwt(token, FORM);
    // Before a key is looked for: the tokens of others send nobody to the JWKS.
    if (jwt.claims.iss !== this.#issuer || jwt.keyId === undefined) throw invalid("iss or kid is another one");
    const key = this.#keys.known(jwt.keyId) ?? (await this.#findKey(jwt.keyId));
    if (!key || key.algorithm !== jwt.algorithm) throw invalid("no such key");
    const end = token.lastIndexOf(".");
    if (!key.verify(token.slice(0, end), Buffer.from(token.slice(end + 1), "base64url")))
      throw invalid("the signature is not good");
    const access = this.#accessOf(jwt);
    const { userId, tokenId, sessionId, issuedAt } = access;
    const known = { access, key, standing: { userId, tokenId, sessionId, issuedAt, keyId: key.id } };
    this.#tokens.put(token, known);
    return known;
  }

  #accessOf({ claims }: ParsedJwt): VerifiedAccess {
    const { subject, audience, issuedAt, expiresAt } = checkClaims(claims, {
      issuer: this.#issuer,
      audience: this.#audience,
      maxLifetimeMs: MAX_LIFETIME_MS,
      nowMs: this.#clock.now(),
    });
    const { jti, ext, sid } = claims;
    if (typeof jti !== "string" || typeof ext !== "string" || issuedAt === undefined)
      throw invalid("jti, ext or iat is missing");
    const sessionId = typeof sid === "string" ? sid : undefined;
    const access = { userId: subject, externalId: ext, tokenId: jti, sessionId, issuedAt, expiresAt, audience, claims };
    // All who send the same token are given the same object.
    return Object.freeze(access);
  }

  #standing({ access, standing }: KnownToken): VerifiedAccess {
    const now = this.#clock.now();
    if (access.expiresAt <= now) throw new TokenRefused("TOKEN_EXPIRED");
    this.#revocations.sweep(now);
    if (this.#revocations.covers(standing)) throw new TokenRefused("TOKEN_REVOKED");
    return access;
  }

  /** Unless the JWKS can be read now, what is known counts. */
  async #findKey(id: string): Promise<VerifyingKey | undefined> {
    return this.#keys.find(id).catch((error: unknown) => void this.#onError(error));
  }

  /** Where the keys cannot be had, the stream is not either: it is tried again, and the verifier is stale meanwhile. */
  async *#open(resumeToken: Uint8Array, signal: AbortSignal): AsyncIterable<RevocationMessage> {
    await this.#keys.refresh();
    if (this.#keys.size === 0) throw new Error("the project publishes no keys");
    yield* this.#source.open(resumeToken, signal);
  }
}

const invalid = (why: string): TokenRefused => new TokenRefused("TOKEN_INVALID", new Error(why));

function refusalOf(error: unknown): unknown {
  if (!(error instanceof MusterError)) return error;
  return new TokenRefused(error.reason === "TOKEN_EXPIRED" ? "TOKEN_EXPIRED" : "TOKEN_INVALID", error.extra.cause);
}
