import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from "node:crypto";
import { invalid } from "./errors.ts";

/** What a page token is bound to: for another list, project or query it is not valid. */
export interface PageContext {
  /** Which list it is, such as `users`. */
  readonly list: string;
  readonly projectId: string;
  /** All that decides which things are listed and in which order. */
  readonly query: unknown;
}

/** Where a page ended: the values of the order at its last thing. */
export type PagePosition = readonly (string | null)[];

/** Makes and reads the tokens that the next page is asked for with. */
export interface PageTokens {
  issue(context: PageContext, position: PagePosition): string;
  /** REQUEST_INVALID for a token that was changed, belongs elsewhere, or was made under a key that is not there. */
  read(context: PageContext, token: string): PagePosition;
}

const MAC_BYTES = 32;

/** A token is the position in clear and an HMAC-SHA-256 of it and its context: the first key makes it, any of them proves it. */
export function createPageTokens(encryptionKeys: readonly Uint8Array[]): PageTokens {
  const derived = (key: Uint8Array) => Buffer.from(hkdfSync("sha256", key, "", "muster page token", MAC_BYTES));
  const keys = encryptionKeys.map((key) => createSecretKey(derived(key)));
  const [first] = keys;
  if (!first) throw new RangeError("page tokens need an encryption key");
  return {
    issue(context, position) {
      const payload = JSON.stringify(position);
      return Buffer.concat([macOf(first, context, payload), Buffer.from(payload)]).toString("base64url");
    },
    read(context, token) {
      const bytes = Buffer.from(token, "base64url");
      const [mac, payload] = [bytes.subarray(0, MAC_BYTES), bytes.toString("utf8", MAC_BYTES)];
      // Decoding is lenient; a token is the one spelling that was given out.
      const spelled = mac.length === MAC_BYTES && bytes.toString("base64url") === token;
      if (!spelled || !keys.some((key) => timingSafeEqual(macOf(key, context, payload), mac)))
        throw invalid("page_token", "is not one that was given for this query");
      return JSON.parse(payload) as PagePosition;
    },
  };
}

/** Over a JSON array, so that no two contexts give the same bytes. */
const macOf = (key: KeyObject, { list, projectId, query }: PageContext, payload: string): Buffer =>
  createHmac("sha256", key)
    .update(JSON.stringify([list, projectId, query, payload]))
    .digest();
