import { hash } from "node:crypto";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { SigningAlgorithm } from "../projects/projects.ts";
import type { AccessMemory } from "../revocations/revocations.ts";
import type { Sealer } from "../sealing.ts";
import { type AccessTokens, createAccessTokens } from "./issue-access-token.ts";
import type { IssueTokenPorts } from "./issue-token.ts";
import { createIssuers } from "./issuer.ts";
import { type KeyScope, useAlgorithm } from "./key-chain.ts";
import type { RotateSigningKeyPorts } from "./rotate-signing-key.ts";
import { createSignatureCache } from "./signature-cache.ts";
import { createSigningKeys } from "./signing-keys.ts";
import { type VerifiedToken, type VerifyTokenPorts, verifyToken } from "./verify-token.ts";

export type { TokenInspection } from "./inspect-token.ts";
export type { AccessTokens } from "./issue-access-token.ts";
export type { IssuedToken } from "./issue-token.ts";
export type { VerifiedToken } from "./verify-token.ts";

/** What the feature needs of the process. */
export interface TokensOptions extends Pick<IssueTokenPorts, "db" | "clock" | "newId" | "projects"> {
  readonly sealer: Sealer;
  readonly memory: AccessMemory;
  /** Where this instance is reached from outside; tokens name it as their issuer. */
  readonly publicUrl: string;
  /** For how long a signing key is published before it signs, in milliseconds. */
  readonly prepareMs: number;
}

/** Checks the tokens that calls are made with. */
export interface TokenVerifier {
  /**
   * Takes the token of a user of any project, if it is meant for the project itself. TOKEN_INVALID, TOKEN_EXPIRED,
   * TOKEN_REVOKED, USER_SUSPENDED; STORAGE_UNAVAILABLE. An aborted signal cancels the look into the database.
   */
  verify(token: string, signal?: AbortSignal): Promise<VerifiedToken>;
}

/** Makes the signing keys of projects, as a port of theirs: projects know nothing of tokens. */
export interface SigningKeyMaker {
  /**
   * Has new tokens signed with `algorithm`, in the transaction of `em` that made or locked the project: at once in a new project, otherwise
   * once a key of it was published long enough. SIGNING_KEYS_FULL.
   */
  use(em: SqlEntityManager, scope: KeyScope, algorithm: SigningAlgorithm): Promise<void>;
}

/** The feature, made once per process: what its service and its routes stand on, and what others are handed of it. */
export interface Tokens extends IssueTokenPorts, VerifyTokenPorts, Omit<RotateSigningKeyPorts, "announceEnd"> {
  readonly verifier: TokenVerifier;
  readonly accessTokens: AccessTokens;
  readonly signingKeys: SigningKeyMaker;
}

/** Wires the feature. It holds nothing that has to be closed. */
export function createTokens({ publicUrl, ...options }: TokensOptions): Tokens {
  const { db, clock, sealer } = options;
  const ports: Omit<Tokens, "verifier" | "accessTokens" | "signingKeys"> = {
    ...options,
    keys: createSigningKeys(db, clock, sealer),
    issuers: createIssuers(publicUrl),
    sealer,
    // A token is a credential: what is kept of it cannot be used as one.
    signatures: createSignatureCache((token) => hash("sha256", token, "base64")),
  };
  return {
    ...ports,
    verifier: { verify: (token, signal) => verifyToken(ports, token, { asCredential: true }, signal) },
    accessTokens: createAccessTokens(ports),
    signingKeys: {
      use: (em, scope, algorithm) => useAlgorithm(ports, em, scope, algorithm),
    },
  };
}
