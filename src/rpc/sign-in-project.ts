import type { HandlerContext } from "@connectrpc/connect";
import { invalid, MusterError } from "../errors.ts";
import { ANONYMOUS, type Caller, callerOf, IS_AMBIENT } from "./caller.ts";

/** A call of an RPC that is open to `.anonymous`, in the project that it is about. */
export interface SignInProject {
  readonly projectId: string;
  /** Who calls, in this project. */
  readonly caller: Caller;
}

/**
 * The project that a call of an RPC open to `.anonymous` is about: the one it names, which must be that of its credential. A cookie of
 * another project, which the browser sent unasked, counts as none. PROJECT_NOT_FOUND; REQUEST_INVALID where neither names one.
 */
export function signInProjectOf(context: Pick<HandlerContext, "values">, named: string): SignInProject {
  const caller = callerOf(context);
  if (!("projectId" in caller)) {
    if (!named) throw invalid("project_id", "must be given where no credential names the project");
    return { projectId: named, caller };
  }
  if (!named || named === caller.projectId) return { projectId: caller.projectId, caller };
  if (context.values.get(IS_AMBIENT)) return { projectId: named, caller: ANONYMOUS };
  throw new MusterError("PROJECT_NOT_FOUND");
}
