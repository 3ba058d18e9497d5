import type { Clock } from "../clock.ts";
import { type Answer, type Egress, EgressError } from "../egress/egress.ts";
import { MusterError } from "../errors.ts";
import { type JsonObject, type JsonValue, parseStrictJson } from "../tokens/strict-json.ts";
import { credentialRefused, providerUnavailable, SPARED } from "./credential-refused.ts";
import type { ProvenUser } from "./proven-user.ts";
import { valueAt } from "./providers/json-pointer.ts";
import type { HttpConfig, Provider } from "./providers/provider.ts";
import { createProviderGates, type ProviderGates } from "./providers/provider-gates.ts";
import { MOST_DEPTH } from "./providers/request-form.ts";
import { renderRequest } from "./providers/request-template.ts";
import { toldProfile } from "./told-profile.ts";

export interface HttpPorts {
  readonly egress: Egress;
  readonly gates: ProviderGates;
}

/** For all of it: somebody waits to be signed in. */
const TIMEOUT_MS = 5_000;
const MOST_SUBJECT_BYTES = 255;
/** They say that the credential does not hold; all else but 200 says that the provider is out of order. */
const REFUSALS = new Set([400, 401, 403, 404]);

/** What stands before HTTP providers: only what is out of order at the provider itself counts against it. */
export const createHttpGates = (clock: Clock): ProviderGates =>
  createProviderGates({
    clock,
    verdictOf(error) {
      if (error instanceof EgressError) return error.kind === "BUSY" ? "UNKNOWN" : "ILL";
      if (!(error instanceof MusterError)) return "UNKNOWN";
      return error.reason === "EXTERNAL_JWT_INVALID" ? "WELL" : "ILL";
    },
    refusal: (retryAfterMs) => providerUnavailable(SPARED, retryAfterMs),
  });

/**
 * Whom a credential stands for, as the provider's URL says. Nothing of the credential, the request or the answer is in what is thrown.
 * EXTERNAL_JWT_INVALID, PROVIDER_UNAVAILABLE.
 */
export async function verifyByHttp(
  { egress, gates }: HttpPorts,
  provider: Provider<HttpConfig>,
  credential: string,
  signal: AbortSignal | undefined,
): Promise<ProvenUser> {
  const request = renderRequest(provider.config, credential);
  if (!request) throw credentialRefused("it cannot stand where the request has it");
  const options = { ...request.options, signal, timeoutMs: TIMEOUT_MS };
  try {
    return await gates
      .gateOf(provider)
      .run(async () => readAnswer(await egress.request(request.url, options), provider.config));
  } catch (error) {
    // Its cause may know more than is told.
    if (error instanceof EgressError) throw providerUnavailable(`${error.kind}: ${error.message}`);
    throw error;
  }
}

function readAnswer({ status, body }: Answer, { response }: HttpConfig): ProvenUser {
  if (REFUSALS.has(status)) throw credentialRefused(`the provider answered ${status}`);
  if (status !== 200) throw providerUnavailable(`answered ${status}`);
  const answer = parseAnswer(body);
  const at = (pointer: string) => valueAt(answer, pointer);
  if (response.active !== "" && at(response.active) !== true) throw credentialRefused("the provider calls it inactive");
  return {
    subject: subjectOf(at(response.subject)),
    userData: toldProfile({
      name: at(response.name),
      email: at(response.email),
      emailVerified: at(response.emailVerified),
      login: at(response.login),
      avatarUrl: at(response.avatarUrl),
      metadata: at(response.metadata),
    }),
  };
}

function parseAnswer(body: Uint8Array): JsonObject {
  try {
    return parseStrictJson(body, MOST_DEPTH);
  } catch {
    throw providerUnavailable("answered what is no JSON object, or one that can be read in two ways");
  }
}

/** A number that is not exact here might be that of another user. */
function subjectOf(value: JsonValue | undefined): string {
  const subject = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof subject !== "string" || subject === "" || Buffer.byteLength(subject) > MOST_SUBJECT_BYTES)
    throw providerUnavailable("answered without a subject of 1 to 255 bytes, text or a whole number");
  return subject;
}
