import { create } from "@bufbuild/protobuf";
import { timestampFromDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Grant as GrantMessage,
  GrantSchema,
  type Session as SessionMessage,
  SessionSchema,
} from "../gen/muster/v1/session_pb.ts";
import type { Grant } from "./create-grant.ts";
import type { SessionRow } from "./session-row.ts";

/** A session as it goes on the wire; `currentId` is the one that the call was made in. */
export const sessionMessage = (
  session: SessionRow & { readonly guest: boolean },
  currentId: string | undefined,
): SessionMessage =>
  create(SessionSchema, {
    id: session.sessionId,
    userId: session.userId,
    createTime: timestampFromDate(session.signInTime),
    expireTime: timestampFromDate(session.expireTime),
    lastActiveTime: timestampFromDate(session.lastActiveTime),
    userAgent: session.userAgent,
    guest: session.guest,
    current: session.sessionId === currentId,
    address: session.address,
    refreshTokenExpireTime: timestampFromDate(session.refreshExpireTime),
  });

/** What a sign-in gives, as it goes on the wire; `cookieOnly`: without what the page holds as cookies. */
export const grantMessage = (grant: Grant, guest: boolean, cookieOnly: boolean): GrantMessage =>
  create(GrantSchema, {
    session: sessionMessage({ ...grant.session, guest }, grant.session.sessionId),
    accessToken: grant.accessToken,
    accessTokenExpireTime: timestampFromMs(grant.accessTokenExpiresAt),
    refreshTokenExpireTime: timestampFromDate(grant.session.refreshExpireTime),
    ...(!cookieOnly && { sessionToken: grant.sessionToken, refreshToken: grant.refreshToken }),
  });
