import { create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { RotateExternalKeyRequest } from "../gen/muster/v1/external_auth_service_pb.ts";
import {
  type ExternalKey as ExternalKeyMessage,
  ExternalKeySchema,
  ExternalKeyState,
} from "../gen/muster/v1/external_key_pb.ts";
import type { ExternalKey } from "./keys/external-keys.ts";
import type { ExternalKeySource } from "./keys/new-external-key.ts";
import type { Rotation } from "./keys/rotate-external-key.ts";

/** For how long the key before stays good where nothing is said, in milliseconds. */
const PREVIOUS_TTL_MS = 86_400_000;

/** What a request asks for. An unset key was refused before. */
export const rotationOf = (request: RotateExternalKeyRequest): Rotation => ({
  source: sourceOf(request.key),
  algorithm: request.algorithm,
  revokePrevious: request.revokePrevious,
  previousTtlMs: request.previousTtl ? durationMs(request.previousTtl) : PREVIOUS_TTL_MS,
});

function sourceOf(key: RotateExternalKeyRequest["key"]): ExternalKeySource {
  switch (key.case) {
    case "publicKeyPem":
      return { kind: "pem", pem: key.value };
    case "jwk":
      return { kind: "jwk", jwk: key.value };
    case "jwksUri":
      return { kind: "jwksUri", jwksUri: key.value };
    default:
      return { kind: "generate", algorithm: key.value?.algorithm ?? "" };
  }
}

/** A key as it goes on the wire. */
export const externalKeyMessage = (key: ExternalKey): ExternalKeyMessage =>
  create(ExternalKeySchema, {
    id: key.id,
    keyId: key.publicKey ? (key.publicKey.keyId ?? key.publicKey.thumbprint) : "",
    algorithm: key.algorithm ?? "",
    state: key.endTime === undefined ? ExternalKeyState.CURRENT : ExternalKeyState.PREVIOUS,
    createTime: timestampFromMs(key.createTime),
    ...(key.endTime !== undefined && { endTime: timestampFromMs(key.endTime) }),
    publicJwk: publicJwkOf(key),
    jwksUri: key.jwksUri ?? "",
  });

/** The key as RFC 7517 §4 has it published. */
function publicJwkOf({ publicKey, algorithm }: ExternalKey): string {
  if (!publicKey) return "";
  const { jwk, keyId, thumbprint } = publicKey;
  return JSON.stringify({ ...jwk, kid: keyId ?? thumbprint, ...(algorithm && { alg: algorithm }), use: "sig" });
}
