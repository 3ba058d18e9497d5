import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Grant } from "../gen/muster/v1/session_pb.ts";

/** The tokens of a session, as a tab holds them: in memory, never in a storage that scripts of a later page could read. */
export interface SessionState {
  readonly sessionId: string;
  readonly userId: string;
  readonly accessToken: string;
  /** When the access token ends, in milliseconds since the epoch. */
  readonly accessExpiresAt: number;
  /** Empty where the browser keeps it as a cookie. */
  readonly refreshToken: string;
}

/** What a grant says. Throws a TypeError for one without tokens. */
export function stateOf(grant: Grant | undefined): SessionState {
  const { session, accessToken, accessTokenExpireTime, refreshToken } = grant ?? {};
  if (!session || !accessToken || !accessTokenExpireTime) throw new TypeError("the grant holds no tokens");
  return {
    sessionId: session.id,
    userId: session.userId,
    accessToken,
    accessExpiresAt: timestampMs(accessTokenExpireTime),
    refreshToken: refreshToken ?? "",
  };
}
