import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import { type Client, createGrant, type SessionPorts, type SignedIn } from "../sessions/sessions.ts";
import { examinationOf, lookingChecks, refusalOf, whyOf, writingChecks } from "./examine-token.ts";
import { type Examination, type ExternalTokenPorts, found } from "./external-token-ports.ts";

export interface VerifyExternalUserPorts extends ExternalTokenPorts, SessionPorts {}

export interface ExternalSignIn {
  readonly token: string;
  readonly client: Client;
}

/**
 * Signs in the user whom a JWT of the customer's own system proves, made or brought up to date before. A JWT that is good once is used up
 * when all else of it was accepted, before anything is written: what fails after that, such as a login that is taken or a suspension, takes
 * another JWT to be tried again. EXTERNAL_JWT_MISSING, EXTERNAL_KEYS_MISSING, EXTERNAL_JWT_INVALID, EXTERNAL_PROJECT_MISMATCH,
 * REQUEST_INVALID, LOGIN_TAKEN, IDENTITY_CONFLICT, USER_SUSPENDED, USER_NOT_FOUND, PROVIDER_UNAVAILABLE, PROJECT_NOT_FOUND.
 */
export async function verifyExternalUser(
  ports: VerifyExternalUserPorts,
  scope: WriteScope,
  { token, client }: ExternalSignIn,
): Promise<SignedIn & { readonly userCreated: boolean }> {
  const seen = await examinationOf(ports, scope, token);
  await pass(ports, seen);
  const { user, outcome } = found(seen.written);
  return { ...(await createGrant(ports, scope, { userId: user.id, client })), userCreated: outcome === "created" };
}

/** Makes all checks; what the first one that does not pass has found goes to the log. */
async function pass(ports: ExternalTokenPorts, seen: Examination): Promise<void> {
  for (const { name, run } of [...lookingChecks(ports, seen), ...writingChecks(ports, seen)]) {
    try {
      await run();
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal instanceof MusterError)
        ports.logger.debug(
          { project_id: seen.scope.projectId, check: name, why: whyOf(refusal) },
          "an external JWT is not accepted",
        );
      throw refusal;
    }
  }
}
