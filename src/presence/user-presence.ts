import type { Micros } from "./chain.ts";
import { type EffectivePresence, presenceIn, type Span, spanAt } from "./effective-presence.ts";
import type { KnownUser } from "./engine.ts";

/** What is in force for a user. */
export interface UserPresence extends EffectivePresence {
  /** Empty: there is no such user. */
  readonly userId: string;
  readonly externalId: string;
  /** When the user last called, milliseconds since the epoch. */
  readonly lastActiveAt?: number;
}

/** What is in force for a user in one link of its chain. */
export function userPresenceIn(
  userId: string,
  known: KnownUser | undefined,
  span: Span,
  defaultStatus: string,
): UserPresence {
  return {
    userId,
    externalId: known?.externalId ?? "",
    ...(known?.lastActiveAt !== undefined && { lastActiveAt: known.lastActiveAt }),
    ...presenceIn(known?.record, span, defaultStatus),
  };
}

/** What is in force for a user at a moment. */
export const userPresenceAt = (userId: string, known: KnownUser, time: Micros, defaultStatus: string): UserPresence =>
  userPresenceIn(userId, known, spanAt(known.record, time), defaultStatus);
