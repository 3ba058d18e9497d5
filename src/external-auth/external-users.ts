import { invalid } from "../errors.ts";
import type { SessionPorts } from "../sessions/sessions.ts";
import type { ExternalTokenPorts } from "./external-token-ports.ts";
import { createExternalKeys } from "./keys/external-keys.ts";
import type { RotateExternalKeyPorts } from "./keys/rotate-external-key.ts";
import { UnusableDocument } from "./remote/fetch-document.ts";
import type { RemoteKeySets } from "./remote-key-sets.ts";
import type { VerifyExternalUserPorts } from "./verify-external-user.ts";

/** What users that the customer's own system proves stand on. */
export interface ExternalUsers extends VerifyExternalUserPorts, RotateExternalKeyPorts {}

/** Wires what the RPCs about external keys and JWTs need. */
export function createExternalUsers(options: Omit<ExternalTokenPorts, "externalKeys"> & SessionPorts): ExternalUsers {
  const { db, clock, keySets } = options;
  return {
    ...options,
    externalKeys: createExternalKeys(db, clock),
    requireKeySet: (jwksUri, signal) => requireKeySet(keySets, jwksUri, signal),
  };
}

async function requireKeySet(keySets: RemoteKeySets, jwksUri: string, signal: AbortSignal | undefined): Promise<void> {
  try {
    await keySets.readKeySet(jwksUri, signal);
  } catch (error) {
    if (error instanceof UnusableDocument) throw invalid("jwks_uri", `the URL ${error.message}`);
    throw error;
  }
}
