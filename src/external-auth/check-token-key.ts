import { compactVerify, errors } from "jose";
import { MusterError } from "../errors.ts";
import { type ParsedJwt, parseJwt, refused } from "../tokens/strict-jwt.ts";
import { type Examination, type ExternalTokenPorts, found, type TokenCheck } from "./external-token-ports.ts";
import type { ExternalKey } from "./keys/external-keys.ts";
import { type Candidate, candidates, nameOf } from "./verifying-keys.ts";

/** Thumbprints of a certificate, which some issuers add: nothing is looked up by them. */
const FORM = { otherHeaderMembers: ["x5t", "x5t#S256"] };

/** What proves who signed a JWT. */
export const KEY_CHECKS: readonly TokenCheck[] = [
  {
    name: "form",
    needs: [],
    check(_, seen) {
      seen.jwt = parseJwt(seen.token, FORM);
      return `${headerOf(seen.jwt)}; claims: ${Object.keys(seen.jwt.claims).join(", ") || "none"}`;
    },
  },
  { name: "keys", needs: [], check: checkKeys },
  { name: "project", needs: ["form"], check: checkProject },
  { name: "key", needs: ["form", "keys"], check: checkKey },
  { name: "signature", needs: ["key"], check: checkSignature },
];

async function checkKeys({ externalKeys }: ExternalTokenPorts, seen: Examination): Promise<string> {
  const { projectId } = seen.scope;
  const known = await externalKeys.of(projectId);
  // The first one may just have been registered.
  const keys = known.length > 0 ? known : await externalKeys.reload(projectId);
  if (keys.length === 0) {
    const cause = new Error("the project has no external key: register one with RotateExternalKey");
    throw new MusterError("EXTERNAL_KEYS_MISSING", { cause });
  }
  seen.keys = keys;
  return keys.map(describe).join("; ");
}

/** Before the signature, so that a JWT of another project of the same system says so. */
function checkProject(_: ExternalTokenPorts, { jwt, scope: { projectId } }: Examination): string {
  const { iss, aud } = found(jwt).claims;
  if (iss === projectId) return "iss is the project";
  if (aud === projectId || (Array.isArray(aud) && aud.includes(projectId))) return "aud holds the project";
  const cause = new Error(`iss is ${told(iss)} and aud ${told(aud)}: one must be the project, ${projectId}`);
  throw new MusterError("EXTERNAL_PROJECT_MISMATCH", { cause });
}

async function checkKey(ports: ExternalTokenPorts, seen: Examination): Promise<string> {
  const jwt = found(seen.jwt);
  const keys = found(seen.keys);
  const rest = candidates(ports, seen.scope, keys, jwt);
  const first = await rest.next();
  if (first.done)
    throw refused(`no key fits: the JWT is ${headerOf(jwt)}; the project has ${keys.map(describe).join("; ")}`);
  seen.candidates = { first: first.value, rest };
  return `by ${describe(first.value.of)}`;
}

async function checkSignature(_: ExternalTokenPorts, seen: Examination): Promise<string> {
  const { first, rest } = found(seen.candidates);
  const tried: Candidate[] = [];
  for await (const candidate of startingWith(first, rest)) {
    if (await holds(seen.token, found(seen.jwt), candidate)) return `holds by ${describe(candidate.of)}`;
    tried.push(candidate);
  }
  throw refused(`the signature is not by ${tried.map(({ of }) => describe(of)).join(", nor by ")}`);
}

async function* startingWith<T>(first: T, rest: AsyncIterable<T>): AsyncIterable<T> {
  yield first;
  yield* rest;
}

async function holds(token: string, { algorithm }: ParsedJwt, { publicKey }: Candidate): Promise<boolean> {
  try {
    await compactVerify(token, publicKey.key, { algorithms: [algorithm] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError) return false;
    throw error;
  }
}

/** A key, for people. */
function describe({ publicKey, jwksUri, algorithm, endTime }: ExternalKey): string {
  const which = endTime === undefined ? "the current key" : "the previous key";
  const until = endTime === undefined ? "" : `, until ${new Date(endTime).toISOString()}`;
  if (!publicKey) return `${which} (the set at ${jwksUri}${until})`;
  return `${which} (${algorithm ?? publicKey.algorithms.join(" or ")}, kid ${told(nameOf(publicKey))}${until})`;
}

const headerOf = ({ algorithm, keyId }: ParsedJwt): string =>
  `of ${told(algorithm)} ${keyId === undefined ? "without kid" : `by kid ${told(keyId)}`}`;

const MAX_TOLD = 120;

/** What somebody else wrote, as JSON and cut short. */
function told(value: unknown): string {
  const text = value === undefined ? "left out" : JSON.stringify(value);
  return text.length > MAX_TOLD ? `${text.slice(0, MAX_TOLD)}…` : text;
}
