import { type ContextValues, createContextKey, type Interceptor } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import { ANONYMOUS, CALLER, type Caller } from "./caller.ts";
import { type Credential, credentialOf } from "./credential.ts";

/** Turns credentials into callers. Each refuses what is not its own with a reason. */
export interface AuthenticatePorts {
  /** Whether this is the instance's operator key. */
  isOperatorKey(key: string): boolean;
  /** The `.system` an access key stands for. CREDENTIAL_INVALID. */
  verifyAccessKey(key: string, signal: AbortSignal): Promise<Caller>;
  /** The user a JWT stands for. TOKEN_EXPIRED, TOKEN_REVOKED, TOKEN_INVALID, USER_SUSPENDED. */
  verifyUserToken(token: string, signal: AbortSignal): Promise<Caller>;
  /** The origins whose pages may call with a project's credentials. */
  originsOf(projectId: string): Promise<readonly string[]>;
}

/** Set once the caller of this call is known. */
const IDENTIFIED = createContextKey(false, { description: "whether the caller is known" });

/** What a call says of its caller, in its header. */
export interface Claim {
  readonly header: Headers;
  readonly url: string;
  /** Aborts when the client leaves. */
  readonly signal: AbortSignal;
  readonly contextValues: ContextValues;
}

/** Decides who calls, unless that was done in front of the chain, before the message was read. */
export function authenticate(ports: AuthenticatePorts): Interceptor {
  return (next) => async (request) => {
    if (!request.contextValues.get(IDENTIFIED)) await identify(ports, request);
    return next(request);
  };
}

/** Sets CALLER. A credential that is sent must be good: a bad one is never taken for none. */
export async function identify(ports: AuthenticatePorts, claim: Claim): Promise<void> {
  const credential = credentialOf(claim.header);
  const caller = credential ? await callerFor(ports, credential, claim.signal) : ANONYMOUS;
  await checkOrigin(ports, caller, credential, claim.header, claim.url);
  claim.contextValues.set(CALLER, caller).set(IDENTIFIED, true);
}

async function callerFor(ports: AuthenticatePorts, { value }: Credential, signal: AbortSignal): Promise<Caller> {
  if (value.startsWith("mop_")) {
    if (ports.isOperatorKey(value)) return { kind: "operator" };
    throw new MusterError("CREDENTIAL_INVALID");
  }
  if (value.startsWith("msk_")) return ports.verifyAccessKey(value, signal);
  if (value.startsWith("mst_")) throw new MusterError("SESSION_NOT_FOUND");
  if (value.split(".", 4).length === 3) return ports.verifyUserToken(value, signal);
  throw new MusterError("CREDENTIAL_INVALID");
}

/**
 * A page of another origin may use a project's credentials only if the project lists it. A cookie is sent by the browser
 * unasked, so with one the origin must be there (the server's own counts).
 */
async function checkOrigin(
  ports: AuthenticatePorts,
  caller: Caller,
  credential: Credential | undefined,
  header: Headers,
  url: string,
): Promise<void> {
  const origin = header.get("origin");
  if (!origin) {
    if (credential?.ambient) throw new MusterError("ORIGIN_NOT_ALLOWED");
    return;
  }
  if (origin === new URL(url).origin) return;
  if (!("projectId" in caller)) {
    // Without a credential nothing is at stake that the page could not do by itself.
    if (caller.kind === "anonymous") return;
    throw new MusterError("ORIGIN_NOT_ALLOWED");
  }
  if (!(await ports.originsOf(caller.projectId)).includes(origin)) throw new MusterError("ORIGIN_NOT_ALLOWED");
}
