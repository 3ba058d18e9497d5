import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import { Access } from "../gen/muster/v1/access_pb.ts";
import type { UserRef } from "../gen/muster/v1/user_pb.ts";
import { ACCESS_OF, type MethodRule } from "./access.ts";
import { CALLER, type Caller } from "./caller.ts";
import { inspectRequest } from "./inspect-request.ts";
import { refsIn } from "./user-refs.ts";

export interface AuthorizePorts {
  /** The declaration of every RPC served. */
  readonly rules: ReadonlyMap<DescMethod, MethodRule>;
  /** Full names of services of the protocol itself (health, reflection), which are open to everyone. */
  readonly openServices: ReadonlySet<string>;
  /** The id of the user a ref names in a project, if there is one. */
  resolveUser(projectId: string, ref: UserRef, signal: AbortSignal): Promise<string | undefined>;
}

/** Enforces the declarations, and turns `me` into the caller's id, so that no feature meets it. */
export function authorize(ports: AuthorizePorts): Interceptor {
  const readers = new Map([...ports.rules.keys()].map((method) => [method, refsIn(method.input)]));
  return (next) => (request) => {
    const caller = request.contextValues.get(CALLER);
    const rule = admit(ports, request.method, caller);
    const refsOf = readers.get(request.method);
    if (!rule || !refsOf) return next(request);
    const onlyItself = !rule.allow.has(ACCESS_OF[caller.kind]);
    return inspectRequest(next, request, (message) =>
      settleRefs(ports, caller, refsOf(message), onlyItself, request.signal),
    );
  };
}

/**
 * The rule by which the caller may call the RPC; none for the services of the protocol itself, which are open to everyone.
 * UNIMPLEMENTED for an RPC that no service declares, CREDENTIAL_MISSING, PRINCIPAL_NOT_ALLOWED.
 */
export function admit(
  { rules, openServices }: Pick<AuthorizePorts, "rules" | "openServices">,
  method: DescMethod,
  caller: Caller,
): MethodRule | undefined {
  if (openServices.has(method.parent.typeName)) return undefined;
  const rule = rules.get(method);
  if (!rule) throw new MusterError("UNIMPLEMENTED");
  if (rule.allow.has(ACCESS_OF[caller.kind])) return rule;
  if (caller.kind === "user" && rule.allow.has(Access.SELF)) return rule;
  throw new MusterError(caller.kind === "anonymous" ? "CREDENTIAL_MISSING" : "PRINCIPAL_NOT_ALLOWED");
}

function settleRefs(
  ports: AuthorizePorts,
  caller: Caller,
  refs: readonly UserRef[],
  onlyItself: boolean,
  signal: AbortSignal,
): void | Promise<void> {
  if (caller.kind === "user") return refs.length > 0 ? settleOwn(ports, caller, refs, onlyItself, signal) : undefined;
  for (const { ref } of refs) if (ref.case === "me") throw new MusterError("RESERVED_USER");
}

async function settleOwn(
  ports: AuthorizePorts,
  caller: Extract<Caller, { kind: "user" }>,
  refs: readonly UserRef[],
  onlyItself: boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const named of refs) {
    if (named.ref.case === "me") named.ref = { case: "id", value: caller.userId };
    else if (onlyItself && !(await namesItself(ports, caller, named, signal)))
      throw new MusterError("PRINCIPAL_NOT_ALLOWED");
  }
}

async function namesItself(
  ports: AuthorizePorts,
  caller: Extract<Caller, { kind: "user" }>,
  named: UserRef,
  signal: AbortSignal,
): Promise<boolean> {
  // An unset ref is for validation to refuse.
  if (named.ref.case === undefined) return true;
  if (named.ref.case === "id") return named.ref.value === caller.userId;
  return (await ports.resolveUser(caller.projectId, named, signal)) === caller.userId;
}
