import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { SigningAlgorithm } from "../projects/projects.ts";
import type { Sealer } from "../sealing.ts";
import { createSigningKey } from "./create-signing-key.ts";
import type { IssueTokenPorts } from "./issue-token.ts";
import { createIssuers } from "./issuer.ts";
import { createSignatureCache } from "./signature-cache.ts";
import { createSigningKeys } from "./signing-keys.ts";
import { type VerifiedToken, type VerifyTokenPorts, verifyToken } from "./verify-token.ts";

export type { VerifiedToken } from "./verify-token.ts";

/** What the feature needs of the process. */
export interface TokensOptions extends Pick<IssueTokenPorts, "db" | "clock" | "newId" | "projects"> {
  readonly sealer: Sealer;
  /** Where this instance is reached from outside; tokens name it as their issuer. */
  readonly publicUrl: string;
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
  /** Makes a key of `algorithm` the one that signs from now on, in the transaction of `em`; the one before retires. */
  use(em: SqlEntityManager, projectId: string, algorithm: SigningAlgorithm): Promise<void>;
}

/** The feature, made once per process: what its service and its routes stand on, and what others are handed of it. */
export interface Tokens extends IssueTokenPorts, VerifyTokenPorts {
  readonly verifier: TokenVerifier;
  readonly signingKeys: SigningKeyMaker;
}

/** Wires the feature. It holds nothing that has to be closed. */
export function createTokens({ sealer, publicUrl, db, clock, newId, projects }: TokensOptions): Tokens {
  const ports: IssueTokenPorts & VerifyTokenPorts = {
    db,
    clock,
    newId,
    projects,
    keys: createSigningKeys(db, clock, sealer),
    issuers: createIssuers(publicUrl),
    signatures: createSignatureCache(),
  };
  return {
    ...ports,
    verifier: { verify: (token, signal) => verifyToken(ports, token, { asCredential: true }, signal) },
    signingKeys: {
      use: (em, projectId, algorithm) => createSigningKey({ sealer, newId }, em, projectId, algorithm, clock.now()),
    },
  };
}
