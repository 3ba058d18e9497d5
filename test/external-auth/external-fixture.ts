import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import type { TestApp, TestProject } from "../support/start-app.ts";

/** A key pair of the customer's own system. */
export interface KeyPair {
  readonly algorithm: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  /** SPKI. */
  readonly pem: string;
  readonly jwk: Record<string, string>;
}

/** The ten algorithms that are taken. */
export const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"];
const CURVES: Record<string, string> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

/** Makes a key pair for an algorithm. */
export function keyPair(algorithm = "ES256"): KeyPair {
  const namedCurve = CURVES[algorithm];
  const { publicKey, privateKey } = namedCurve
    ? generateKeyPairSync("ec", { namedCurve })
    : algorithm === "EdDSA"
      ? generateKeyPairSync("ed25519")
      : generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const pem = String(publicKey.export({ format: "pem", type: "spki" }));
  return { algorithm, publicKey, privateKey, pem, jwk: publicKey.export({ format: "jwk" }) as Record<string, string> };
}

export const encode = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

/** A JWS over any header and payload, by node:crypto alone: what is verified by one library is not made by it. */
export function signJws(pair: Pick<KeyPair, "privateKey" | "algorithm">, header: unknown, payload: unknown): string {
  const text = `${encode(header)}.${encode(payload)}`;
  return `${text}.${signatureOf(pair, text)}`;
}

/** The signature of a JWS (RFC 7518 §3). */
export function signatureOf(
  { privateKey, algorithm }: Pick<KeyPair, "privateKey" | "algorithm">,
  text: string,
): string {
  const digest = algorithm === "EdDSA" ? null : `sha${algorithm.slice(2)}`;
  const pss = { padding: 6, saltLength: Number(algorithm.slice(2)) / 8 };
  const key = { key: privateKey, dsaEncoding: "ieee-p1363", ...(algorithm.startsWith("PS") && pss) } as const;
  return sign(digest, Buffer.from(text), key).toString("base64url");
}

/** Signs a JWT for users of a project with good claims, but for those given; undefined leaves one out. */
export const signerFor = (app: Pick<TestApp, "clock">, project: Pick<TestProject, "id">, pair: KeyPair) => {
  return (claims: Record<string, unknown> = {}, header: Record<string, unknown> = {}): string => {
    const now = Math.floor(app.clock.now() / 1_000);
    const good = { iss: project.id, sub: "user_alice", iat: now, exp: now + 300 };
    return signJws(pair, { alg: pair.algorithm, typ: "JWT", ...header }, { ...good, ...claims });
  };
};

/** A project with a current external key, and what its own system does. */
export async function projectWithKey(
  app: TestApp,
  settings: Parameters<TestApp["project"]>[0] = {},
  pair: KeyPair = keyPair(),
) {
  const project = await app.project(settings);
  const system = project.system(ExternalAuthService);
  await system.rotateExternalKey({ key: { case: "publicKeyPem", value: pair.pem }, algorithm: pair.algorithm });
  const jwt = signerFor(app, project, pair);
  const anonymous = app.client(ExternalAuthService);
  const verify = (userJwt: string) => anonymous.verifyExternalUser({ projectId: project.id, userJwt });
  /** Signs a user of the project's own system in. */
  const signIn = (sub: string, userData?: Record<string, unknown>, claims: Record<string, unknown> = {}) =>
    verify(jwt({ sub, ...(userData && { userData }), ...claims }));
  return {
    project,
    system,
    pair,
    jwt,
    anonymous,
    verify,
    signIn,
    explain: (userJwt: string) => system.explainExternalToken({ userJwt }),
  };
}
