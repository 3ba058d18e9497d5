import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey, type Interceptor } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import { Access } from "../gen/muster/v1/access_pb.ts";
import type { MethodRule } from "./access.ts";
import { ANONYMOUS, CALLER, type Caller, IS_AMBIENT } from "./caller.ts";
import { type Credential, credentialOf } from "./credential.ts";
import { originOf, type PageOrigins } from "./page-origin.ts";
import type { Settled } from "./settle.ts";

/** Turns credentials into callers. Each refuses what is not its own with a reason. */
export interface AuthenticatePorts extends PageOrigins {
  /** The declaration of every RPC served. */
  readonly rules: ReadonlyMap<DescMethod, MethodRule>;
  /** Whether this is the instance's operator key. */
  isOperatorKey(key: string): boolean;
  /** The `.system` an access key stands for. CREDENTIAL_INVALID. */
  verifyAccessKey(key: string, signal: AbortSignal): Settled<Caller>;
  /** The user a JWT stands for. TOKEN_EXPIRED, TOKEN_REVOKED, TOKEN_INVALID, USER_SUSPENDED. */
  verifyUserToken(token: string, signal: AbortSignal): Settled<Caller>;
  /** The user a session token stands for. SESSION_NOT_FOUND, USER_SUSPENDED. */
  verifySessionToken(token: string, signal: AbortSignal): Settled<Caller>;
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
  return (next) => (request) => {
    const identifying = request.contextValues.get(IDENTIFIED) ? undefined : identify(ports, request.method, request);
    return identifying ? identifying.then(() => next(request)) : next(request);
  };
}

/**
 * Sets CALLER, at once where there is nothing to wait for. A credential that is sent must be good: a bad one is never taken for none. But a
 * cookie, which the browser sends unasked, is where the RPC needs none: one of a session that ended does not stand in the way of the next sign-in.
 */
export function identify(ports: AuthenticatePorts, method: DescMethod, claim: Claim): void | Promise<void> {
  const credential = credentialOf(claim.header);
  if (credential?.ambient || claim.header.has("origin")) return identifyPage(ports, method, credential, claim);
  const caller = credential ? callerFor(ports, credential, claim.signal) : ANONYMOUS;
  if (caller instanceof Promise) return caller.then((known) => note(claim, known, false));
  note(claim, caller, false);
}

function note({ contextValues }: Claim, caller: Caller, isAmbient: boolean): void {
  contextValues.set(CALLER, caller).set(IDENTIFIED, true);
  if (isAmbient) contextValues.set(IS_AMBIENT, true);
}

async function identifyPage(
  ports: AuthenticatePorts,
  method: DescMethod,
  credential: Credential | undefined,
  claim: Claim,
): Promise<void> {
  const isDispensable = credential?.ambient && ports.rules.get(method)?.allow.has(Access.ANONYMOUS);
  let caller = ANONYMOUS;
  try {
    const claimed = credential ? await callerFor(ports, credential, claim.signal) : ANONYMOUS;
    await checkOrigin(ports, claimed, credential, claim);
    caller = claimed;
  } catch (error) {
    const isBad = error instanceof MusterError && error.reason !== "STORAGE_UNAVAILABLE";
    if (!isDispensable || !isBad) throw error;
  }
  note(claim, caller, credential?.ambient ?? false);
}

function callerFor(ports: AuthenticatePorts, { value }: Credential, signal: AbortSignal): Settled<Caller> {
  if (value.startsWith("mop_")) {
    if (ports.isOperatorKey(value)) return { kind: "operator" };
    throw new MusterError("CREDENTIAL_INVALID");
  }
  if (value.startsWith("msk_")) return ports.verifyAccessKey(value, signal);
  if (value.startsWith("mst_")) return ports.verifySessionToken(value, signal);
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
  { header, url }: Claim,
): Promise<void> {
  const from = originOf(ports, header, url);
  if (from.kind === "none" && credential?.ambient) throw new MusterError("ORIGIN_NOT_ALLOWED");
  if (from.kind !== "other") return;
  if (!("projectId" in caller)) {
    // Without a credential nothing is at stake that the page could not do by itself.
    if (caller.kind === "anonymous") return;
    throw new MusterError("ORIGIN_NOT_ALLOWED");
  }
  if (!(await ports.originsOf(caller.projectId)).includes(from.origin)) throw new MusterError("ORIGIN_NOT_ALLOWED");
}
