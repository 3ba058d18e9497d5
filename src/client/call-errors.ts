import { ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";

/** What a credential is refused with when what it stands on is over: the session may be refreshed, or has to be made anew. */
const OVER = ["TOKEN_EXPIRED", "TOKEN_REVOKED", "TOKEN_INVALID", "SESSION_NOT_FOUND", "REFRESH_TOKEN_REUSED"];

/** The stable reason of a failed call; undefined: the call did not reach Muster. */
export function reasonOf(error: unknown): string | undefined {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason;
}

/** Whether the call failed because its session, or its token, is over. */
export const isOver = (error: unknown): boolean => OVER.includes(reasonOf(error) ?? "");

/** Whether the call failed because it was made without a credential. */
export const isMissing = (error: unknown): boolean => reasonOf(error) === "CREDENTIAL_MISSING";
