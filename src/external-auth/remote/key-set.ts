import { isJsonObject, type JsonObject, type JsonValue } from "../../tokens/strict-json.ts";
import { type PublicKey, parsePublicKey, UnusableKey } from "../public-key.ts";
import { UnusableDocument } from "./fetch-document.ts";
import { readJson } from "./read-json.ts";

/** The keys of a set that can be used. */
export interface KeySet {
  readonly keys: readonly PublicKey[];
  /** Why the others cannot, by their `kid` or their place. */
  readonly leftOut: readonly string[];
  /** By what the set says of each of them. A key stays the same object for as long as that is said. */
  readonly byText: ReadonlyMap<string, PublicKey>;
}

/** What a set says of one key. */
interface Entry {
  /** For people. */
  readonly name: string;
  readonly text: string;
  parse(): PublicKey;
}

/** The largest providers publish about a dozen. What comes after these is not looked at. */
const MOST_KEYS = 64;
const MAX_KEY_ID_LENGTH = 255;

/**
 * Reads a JWK Set (RFC 7517 §5), or a map from key ids to X.509 certificates in PEM. Keys that may not be used are left out, and so are
 * those that share a `kid` and are not the same: nobody could say which is meant. Throws UnusableDocument.
 */
export function readKeySet(bytes: Uint8Array, last: KeySet | undefined): KeySet {
  const leftOut: string[] = [];
  const byText = new Map<string, PublicKey>();
  for (const { name, text, parse } of entriesOf(readJson(bytes)))
    try {
      byText.set(text, last?.byText.get(text) ?? parse());
    } catch (error) {
      if (!(error instanceof UnusableKey)) throw error;
      leftOut.push(`${name} ${error.message}`);
    }
  const keys = [
    ...new Map(
      [...byText.values()].map((key) => [`${key.thumbprint} ${key.keyId} ${key.algorithms.join(" ")}`, key]),
    ).values(),
  ];
  const isClear = ({ keyId }: PublicKey) =>
    keyId === undefined || keys.filter((key) => key.keyId === keyId).length === 1;
  leftOut.push(...keys.filter((key) => !isClear(key)).map(({ keyId }) => `${keyId} is the kid of several keys`));
  return { keys: keys.filter(isClear), leftOut, byText };
}

function entriesOf(document: JsonObject): Entry[] {
  const { keys } = document;
  if (Array.isArray(keys)) return (keys as readonly JsonValue[]).slice(0, MOST_KEYS).map(entryOfJwk);
  const entries = Object.entries(document);
  if (entries.length === 0 || !entries.every(([, value]) => typeof value === "string" && value.includes("-----BEGIN")))
    throw new UnusableDocument("answers neither a JWK Set nor certificates by key ids");
  return entries.slice(0, MOST_KEYS).map(([keyId, pem]) => entryOfCertificate(keyId, pem as string));
}

function entryOfJwk(jwk: JsonValue, index: number): Entry {
  const name = isJsonObject(jwk) && typeof jwk["kid"] === "string" ? jwk["kid"] : `#${index + 1}`;
  const parse = () => {
    if (!isJsonObject(jwk)) throw new UnusableKey("is not an object");
    return parsePublicKey({ jwk });
  };
  return { name, text: JSON.stringify(jwk), parse };
}

function entryOfCertificate(keyId: string, pem: string): Entry {
  const parse = () => {
    if (keyId === "" || keyId.length > MAX_KEY_ID_LENGTH)
      throw new UnusableKey("has a kid that is not 1 to 255 characters");
    return { ...parsePublicKey({ pem }), keyId };
  };
  return { name: keyId, text: JSON.stringify([keyId, pem]), parse };
}
