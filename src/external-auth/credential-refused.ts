import { MusterError } from "../errors.ts";

/** A refusal of a provider's credential; `why` goes to the log, never to its bearer, and holds nothing of the credential. */
export const credentialRefused = (why: string): MusterError =>
  new MusterError("EXTERNAL_JWT_INVALID", { cause: new Error(why) });

/** Why a credential was not sent to a provider that is out of order, which was logged as it was found to be. */
export const SPARED = "nobody is sent to the provider now: it is out of order, or too many wait for it";

/** For whoever tries it again. */
const RETRY_MS = 5_000;

/** The provider did not answer, or not as it should. */
export const providerUnavailable = (why: string, retryAfterMs = RETRY_MS): MusterError =>
  new MusterError("PROVIDER_UNAVAILABLE", { retryAfterMs, cause: new Error(why) });

/** The outcome of reading a JWT that is not one of ours; what is wrong with it is EXTERNAL_JWT_INVALID. */
export function readAsCredential<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MusterError) || !["TOKEN_INVALID", "TOKEN_EXPIRED"].includes(error.reason)) throw error;
    throw new MusterError("EXTERNAL_JWT_INVALID", { cause: error.extra.cause });
  }
}
