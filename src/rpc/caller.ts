import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Act } from "../db/act.ts";
import { invalid, MusterError } from "../errors.ts";

/** Who calls: a closed union, decided once by the credential. */
export type Caller =
  | { readonly kind: "operator" }
  | { readonly kind: "system"; readonly projectId: string; readonly accessKeyId: string }
  | {
      readonly kind: "user";
      readonly projectId: string;
      readonly userId: string;
      /** What the call was made with: the `jti` of a JWT, or the id of the session of a session token. */
      readonly tokenId: string;
      /** The session it belongs to, if any. */
      readonly sessionId: string | undefined;
      /** The key that signed it, the `kid` of a JWT; none signs a session token. */
      readonly keyId: string | undefined;
      /** When the JWT was issued or the session began, in milliseconds since the epoch. */
      readonly issuedAt: number;
      /** When it ends, in milliseconds since the epoch: a stream ends with it. */
      readonly expiresAt: number;
    }
  | { readonly kind: "anonymous" };

export const ANONYMOUS: Caller = { kind: "anonymous" };

/** Set by authentication, read by everything after it. */
export const CALLER = createContextKey<Caller>(ANONYMOUS, { description: "caller" });

/** Whether the browser sent the caller's credential by itself. */
export const IS_AMBIENT = createContextKey(false, { description: "whether the credential is a cookie" });

/** An RPC that is declared to have no side effects changes nothing. */
const NO_ACT: Act = {
  get facts(): string {
    throw new Error("the RPC is declared to have no side effects");
  },
  committed() {},
};

/** What the call does. */
export const ACT = createContextKey<Act>(NO_ACT, { description: "act" });

/** Who made the call. */
export const callerOf = (context: Pick<HandlerContext, "values">): Caller => context.values.get(CALLER);

/** A caller that has a project: `.system` or a user. */
export type ProjectCaller = Extract<Caller, { projectId: string }>;

/** The caller of an RPC whose declaration lets in only callers with a project. Throws if the declaration says otherwise. */
export function projectCallerOf(context: Pick<HandlerContext, "values">): ProjectCaller {
  const caller = callerOf(context);
  if (!("projectId" in caller))
    throw new Error(`the declaration of this RPC lets in ${caller.kind}, which has no project`);
  return caller;
}

/**
 * The project that a call is about: `.system` has its own and sees no other; the operator has to name one. `projectId` is what the request
 * says, maybe nothing. REQUEST_INVALID, PROJECT_NOT_FOUND.
 */
export function namedProject(context: Pick<HandlerContext, "values">, projectId: string): string {
  const caller = callerOf(context);
  if (!("projectId" in caller)) {
    if (projectId === "") throw invalid("project_id", "the operator has to name the project");
    return projectId;
  }
  if (projectId !== "" && projectId !== caller.projectId) throw new MusterError("PROJECT_NOT_FOUND");
  return caller.projectId;
}

type CallContext = Pick<HandlerContext, "values" | "signal">;

/** What a use case may touch for this call: the project, until when it is wanted, and what is being done. */
export const scopeFor = (context: CallContext, projectId: string) => ({
  projectId,
  signal: context.signal,
  act: context.values.get(ACT),
});

/** The same, of an RPC whose declaration lets in only callers with a project: theirs. */
export const scopeOf = (context: CallContext) => scopeFor(context, projectCallerOf(context).projectId);
