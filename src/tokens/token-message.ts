import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SigningAlgorithm } from "../gen/muster/v1/project_pb.ts";
import {
  type SigningKey as SigningKeyMessage,
  SigningKeySchema,
  SigningKeyState,
  type Token as TokenMessage,
  TokenSchema,
} from "../gen/muster/v1/token_pb.ts";
import type { IssuedToken } from "./issue-token.ts";
import type { ListedSigningKey } from "./list-signing-keys.ts";
import { publishedJwk } from "./published-jwk.ts";

/** A token; unless it says otherwise, it was not revoked. `nowMs` is milliseconds since the epoch. */
export const tokenMessage = (
  { tokenId, userId, issuedAt, expiresAt, revoked = false }: IssuedToken & { readonly revoked?: boolean },
  nowMs: number,
): TokenMessage =>
  create(TokenSchema, {
    id: tokenId,
    userId,
    issueTime: timestampFromMs(issuedAt),
    expireTime: timestampFromMs(expiresAt),
    ttl: durationFromMs(revoked ? 0 : Math.max(0, expiresAt - nowMs)),
    revoked,
  });

/** A signing key, without its private half. */
export const signingKeyMessage = (key: ListedSigningKey): SigningKeyMessage =>
  create(SigningKeySchema, {
    id: key.id,
    algorithm: SigningAlgorithm[key.algorithm],
    state: SigningKeyState[key.state],
    createTime: timestampFromDate(key.createTime),
    publicJwk: JSON.stringify(publishedJwk(key)),
    activateTime: timestampFromDate(key.activateTime),
    retireTime: key.retireTime ? timestampFromDate(key.retireTime) : undefined,
    liveTokens: BigInt(key.liveTokens),
    // A key that has signed nothing bears the moment of its activation.
    safeToRetireTime: key.lastExpireTime > key.activateTime ? timestampFromDate(key.lastExpireTime) : undefined,
  });
