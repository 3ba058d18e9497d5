import { createPublicKey, type JsonWebKey, type KeyObject, verify } from "node:crypto";
import type { Clock } from "../clock.ts";

/** A key of the project's JWKS. It verifies the one algorithm it was made for. */
export interface VerifyingKey {
  readonly id: string;
  readonly algorithm: string;
  verify(text: string, signature: Uint8Array): boolean;
}

export interface KeySetOptions {
  /** Where the JWKS is. */
  readonly url: string;
  readonly clock: Clock;
  readonly fetch: typeof globalThis.fetch;
}

/** How a signature of each algorithm is checked (RFC 7518 §3.1, RFC 8037 §3.1); other algorithms are not taken. */
const DIGESTS: Readonly<Record<string, "sha256" | null>> = { EdDSA: null, ES256: "sha256", RS256: "sha256" };
/** An unknown key id makes it look again, but whoever sends such ids makes it look no more often than this. */
const FETCH_EVERY_MS = 1_000;
/** A key that the project took out of its JWKS is dropped at the latest after this. */
const REFRESH_MS = 60_000;
const TIMEOUT_MS = 5_000;
const MAX_BYTES = 65_536;

/** The keys of a project, from its JWKS (RFC 7517 §5). What was fetched last counts for as long as nothing newer can be had. */
export class KeySet {
  readonly #options: KeySetOptions;
  #keys = new Map<string, VerifyingKey>();
  #fetching: Promise<void> | undefined;
  #fetchedAt = Number.NEGATIVE_INFINITY;

  constructor(options: KeySetOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#keys.size;
  }

  /** A key that is known: no waiting. */
  known(id: string): VerifyingKey | undefined {
    return this.#keys.get(id);
  }

  /** Whether it is time to look for changes. */
  get due(): boolean {
    return this.#options.clock.monotonic() - this.#fetchedAt > REFRESH_MS;
  }

  /** The key, looked for again if it is not known. Throws what kept the JWKS from being read, unless some keys are known. */
  async find(id: string): Promise<VerifyingKey | undefined> {
    if (!this.#keys.has(id)) await this.refresh();
    return this.#keys.get(id);
  }

  /** Fetches the JWKS, once for all who ask meanwhile and at most once a second: who asks sooner waits for its turn. */
  async refresh(): Promise<void> {
    this.#fetching ??= this.#inTurn()
      .then(() => this.#fetch())
      .finally(() => {
        this.#fetching = undefined;
        this.#fetchedAt = this.#options.clock.monotonic();
      });
    await this.#fetching;
  }

  async #inTurn(): Promise<void> {
    const { clock } = this.#options;
    const early = this.#fetchedAt + FETCH_EVERY_MS - clock.monotonic();
    if (early > 0) await new Promise<void>((resolve) => void clock.schedule(early, resolve));
  }

  async #fetch(): Promise<void> {
    const { url, fetch } = this.#options;
    const answer = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "error" });
    if (!answer.ok) throw new Error(`the JWKS at ${url} answers ${answer.status}`);
    const text = await answer.text();
    if (text.length > MAX_BYTES) throw new Error(`the JWKS at ${url} is longer than ${MAX_BYTES} bytes`);
    const { keys } = JSON.parse(text) as { keys?: readonly JsonWebKey[] };
    if (!Array.isArray(keys)) throw new Error(`what is at ${url} is no JWKS`);
    const old = this.#keys;
    this.#keys = new Map(keys.flatMap((jwk) => entryOf(jwk, old)));
  }
}

/** Keys stay the same objects for as long as they are there: what was verified under one is remembered with it. */
function entryOf(jwk: JsonWebKey, old: ReadonlyMap<string, VerifyingKey>): [string, VerifyingKey][] {
  const { kid, alg } = jwk as { kid?: unknown; alg?: unknown };
  if (typeof kid !== "string" || typeof alg !== "string" || !Object.hasOwn(DIGESTS, alg)) return [];
  return [[kid, old.get(kid) ?? verifyingKey(kid, alg, createPublicKey({ key: jwk, format: "jwk" }))]];
}

function verifyingKey(id: string, algorithm: string, key: KeyObject): VerifyingKey {
  const digest = DIGESTS[algorithm] ?? null;
  // An ECDSA signature is r and s side by side in a JWS (RFC 7518 §3.4), not DER. For the others the key alone is a sixth faster.
  const how = algorithm === "ES256" ? ({ key, dsaEncoding: "ieee-p1363" } as const) : key;
  return { id, algorithm, verify: (text, signature) => verify(digest, Buffer.from(text), how, signature) };
}
