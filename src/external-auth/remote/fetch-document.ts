import { type Egress, EgressError, type EgressErrorKind } from "../../egress/egress.ts";
import { MusterError } from "../../errors.ts";

/** A document as it was answered. */
export interface FetchedDocument {
  readonly bytes: Uint8Array;
  /** For how long it need not be asked for again, in milliseconds. */
  readonly freshMs: number;
}

/** What a URL answers is not what it should be, and would not be a moment later. The message continues "the URL …" and names no URL. */
export class UnusableDocument extends Error {
  override readonly name = "UnusableDocument";
}

/** Somebody waits for it to sign in. */
const TIMEOUT_MS = 5_000;
/** For whoever asks for it now. */
const RETRY_MS = 5_000;
const MINUTE_MS = 60_000;
const MIN_FRESH_MS = 5 * MINUTE_MS;
const MAX_FRESH_MS = 24 * 60 * MINUTE_MS;
/** For answers that do not say how long they last. */
const USUAL_FRESH_MS = 10 * MINUTE_MS;
/** They may be over a moment later. */
const PASSING: ReadonlySet<EgressErrorKind> = new Set(["UNREACHABLE", "TIMEOUT", "BUSY", "TLS"]);

/** Fetches what is at a URL. Throws UnusableDocument, or PROVIDER_UNAVAILABLE for what may be over a moment later. */
export async function fetchDocument(egress: Egress, url: string): Promise<FetchedDocument> {
  const headers = { accept: "application/json, */*;q=0.1" };
  const answer = await egress.request(url, { headers, timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
    if (error instanceof EgressError && !PASSING.has(error.kind)) throw new UnusableDocument(WHY[error.kind] ?? "");
    throw unavailable(error);
  });
  const { status, body } = answer;
  if (status === 429 || status >= 500) throw unavailable(new Error(`answered ${status}`));
  if (status !== 200) throw new UnusableDocument(`answers ${status}`);
  return { bytes: body, freshMs: freshMs(answer.headers) };
}

const unavailable = (cause: unknown) => new MusterError("PROVIDER_UNAVAILABLE", { retryAfterMs: RETRY_MS, cause });

const WHY: { readonly [kind in EgressErrorKind]?: string } = {
  FORBIDDEN: "may not be called: it is not https, or its address is not public",
  TOO_LARGE: "answers more than 64 KiB",
  MALFORMED: "does not answer in plain HTTP",
};

/** What is left of the answer's lifetime (RFC 9111 §4.2), held to at least 5 minutes and at most a day. */
function freshMs(headers: Readonly<Record<string, string>>): number {
  const directives = (headers["cache-control"] ?? "").toLowerCase();
  if (/(^|[\s,])no-(store|cache)\b/.test(directives)) return MIN_FRESH_MS;
  const lifetime = /(?:^|[\s,])max-age="?(\d+)/.exec(directives)?.[1];
  if (lifetime === undefined) return USUAL_FRESH_MS;
  const age = /^\d+$/.test(headers["age"] ?? "") ? Number(headers["age"]) : 0;
  return Math.min(Math.max((Number(lifetime) - age) * 1_000, MIN_FRESH_MS), MAX_FRESH_MS);
}
