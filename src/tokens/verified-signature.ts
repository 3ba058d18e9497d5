import type { CryptoKey } from "jose";
import type { Mark } from "../revocations/revocations.ts";
import type { ParsedJwt } from "./strict-jwt.ts";

/** The token as it was parsed and the key it verified under. */
export interface VerifiedSignature {
  readonly jwt: ParsedJwt;
  readonly key: CryptoKey;
  /** When it was last asked, with success, whether the token stands. */
  stoodAt: Mark | undefined;
}
