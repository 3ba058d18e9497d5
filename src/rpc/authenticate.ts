import type { DescMethod } from "@bufbuild/protobuf";
import { type ContextValues, createContextKey, type Interceptor } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import { Access } from "../gen/muster/v1/access_pb.ts";
import type { MethodRule } from "./access.ts";
import { ANONYMOUS, CALLER, type Caller, IS_AMBIENT } from "./caller.ts";
import { type Credential, credentialOf } from "./credential.ts";
import { originOf, type PageOrigins } from "./page-origin.ts";

/** Turns credentials into callers. Each refuses what is not its own with a reason. */
export interface AuthenticatePorts extends PageOrigins {
  /** The declaration of every RPC served. */
  readonly rules: ReadonlyMap<DescMethod, MethodRule>;
  /** Whether this is the instance's operator key. */
  isOperatorKey(key: string): boolean;
  /** The `.system` an access key stands for. CREDENTIAL_INVALID. */
  verifyAccessKey(key: string, signal: AbortSignal): Promise<Caller>;
  /** The user a JWT stands for. TOKEN_EXPIRED, TOKEN_REVOKED, TOKEN_INVALID, USER_SUSPENDED. */
  verifyUserToken(token: string, signal: AbortSignal): Promise<Caller>;
  /** The user a session token stands for. SESSION_NOT_FOUND, USER_SUSPENDED. */
  verifySessionToken(token: string, signal: AbortSignal): Promise<Caller>;
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
  return (next) => (request) =>
    request.contextValues.get(IDENTIFIED)
      ? next(request)
      : identify(ports, request.method, request).then(() => next(request));
}

/**
 * Sets CALLER. A credential that is sent must be good: a bad one is never taken for none. But a cookie, which the browser sends unasked,
 * is where the RPC needs none: one of a session that ended does not stand in the way of the next sign-in.
 */
export async function identify(ports: AuthenticatePorts, method: DescMethod, claim: Claim): Promise<void> {
  const credential = credentialOf(claim.header);
  const isDispensable = credential?.ambient && ports.rules.get(method)?.allow.has(Access.ANONYMOUS);
  let caller = ANONYMOUS;
  try {
    caller = await settledCaller(ports, credential, claim);
  } catch (error) {
    const isBad = error instanceof MusterError && error.reason !== "STORAGE_UNAVAILABLE";
    if (!isDispensable || !isBad) throw error;
  }
  claim.contextValues
    .set(CALLER, caller)
    .set(IS_AMBIENT, credential?.ambient ?? false)
    .set(IDENTIFIED, true);
}

async function settledCaller(
  ports: AuthenticatePorts,
  credential: Credential | undefined,
  claim: Claim,
): Promise<Caller> {
  const caller = credential ? await callerFor(ports, credential, claim.signal) : ANONYMOUS;
  if (credential?.ambient || claim.header.has("origin")) await checkOrigin(ports, caller, credential, claim);
  return caller;
}

function callerFor(ports: AuthenticatePorts, { value }: Credential, signal: AbortSignal): Caller | Promise<Caller> {
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
