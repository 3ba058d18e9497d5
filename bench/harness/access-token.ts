import { createPrivateKey, type JsonWebKey, randomUUID, sign } from "node:crypto";
import type { JsonValue } from "@bufbuild/protobuf";

/** What makes tokens as the subject does. */
export interface TokenSource {
  readonly issuer: string;
  readonly projectId: string;
  readonly kid: string;
  /** The private key, Ed25519. */
  readonly jwk: JsonValue;
}

/** Makes valid tokens of users, each another one. */
export function createAccessTokens({ issuer, projectId, kid, jwk }: TokenSource) {
  const key = createPrivateKey({ key: jwk as JsonWebKey, format: "jwk" });
  const header = part({ typ: "at+jwt", alg: "EdDSA", kid });
  return ({ id, externalId }: { id: string; externalId: string }): string => {
    const iat = Math.floor(Date.now() / 1_000);
    const claims = { iss: issuer, sub: id, aud: projectId, iat, exp: iat + 3_600, jti: randomUUID(), ext: externalId };
    const signed = `${header}.${part(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
  };
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
