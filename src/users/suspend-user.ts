import { type Clock, systemClock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { type WriteScope, write } from "../db/recorded.ts";
import { query } from "../db/statement.ts";
import { invalid } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import type { AnnounceEnd } from "../revocations/revocations.ts";
import type { EndPresence } from "./end-presence.ts";
import { type ProjectScope, requireUser } from "./find-user.ts";
import { MOST_SUSPENSIONS, START_SUSPENSION, SUSPEND_USER } from "./suspension-statements.ts";
import type { Suspension } from "./user.entity.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

export interface SuspensionPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly announceEnd: AnnounceEnd;
  readonly logger: Logger;
  readonly endPresence: EndPresence;
  /** Hears, after it is committed, of a suspension that starts later. */
  announcePending(): void;
}

/** A suspension to give; times in milliseconds since the epoch. */
export interface NewSuspension {
  readonly reason: string;
  /** Default: now. */
  readonly startAt?: number | undefined;
  /** Default: without end. */
  readonly endAt?: number | undefined;
  readonly blocksSignIn: boolean;
}

/**
 * Gives a user a suspension, with its `user.suspended`: one statement. One that blocks the sign-in ends for good, when it starts, what
 * the user is signed in by; until then it is pending. USER_NOT_FOUND, USER_DELETED; REQUEST_INVALID for an end that is not after the
 * start, or one suspension too many.
 */
export async function suspendUser(
  ports: SuspensionPorts,
  scope: WriteScope,
  key: UserKey,
  { reason, startAt = ports.clock.now(), endAt, blocksSignIn }: NewSuspension,
): Promise<UserRow> {
  const { db, clock, newId } = ports;
  if (endAt !== undefined && endAt <= startAt) throw invalid("suspension.end_time", "must be after start_time");
  const suspension: Suspension = {
    id: newId(),
    reason,
    start_time: new Date(startAt).toISOString(),
    ...(endAt !== undefined && { end_time: new Date(endAt).toISOString() }),
    blocks_sign_in: blocksSignIn,
  };
  const { id } = await requireUser(db, scope, key);
  const values = [scope.projectId, new Date(clock.now()), id, newId(), JSON.stringify(suspension)];
  const [user] = await write<UserRow>(db, scope, SUSPEND_USER, values);
  if (!user) {
    await requireUser(db, scope, { by: "id", value: id });
    throw invalid("suspension", `the user has ${MOST_SUSPENSIONS} suspensions already`);
  }
  if (blocksSignIn && startAt > clock.now()) ports.announcePending();
  else if (blocksSignIn) await start(ports, scope, id, suspension.id);
  return user;
}

/**
 * Ends the user's presence, and what was issued before the suspension was there to forbid it: the clock is read once it is. What happens in
 * between to this process is made up for by whoever looks for suspensions that start.
 */
async function start(ports: SuspensionPorts, scope: ProjectScope, userId: string, id: string): Promise<void> {
  const { db, clock, announceEnd } = ports;
  const presence = endPresenceOf(ports, [{ projectId: scope.projectId, userId }]);
  await presence.soon;
  await query(db.pool, START_SUSPENSION, [new Date(clock.now()), scope.projectId, id], scope.signal);
  announceEnd();
  await presence.over;
}

/** How long access waits for the presence to end before it, in milliseconds: on every server it ends within a second. */
const PATIENCE_MS = 300;

/**
 * Ends presences. A store that is away, or takes its time, keeps nobody signed in: `soon` resolves with `over`, when they have ended or cannot
 * be, or after a moment. Neither rejects.
 */
export function endPresenceOf(
  { endPresence, logger }: Pick<SuspensionPorts, "endPresence" | "logger">,
  users: Parameters<EndPresence>[0],
): { readonly soon: Promise<void>; readonly over: Promise<void> } {
  const over = endPresence(users).catch((error: unknown) =>
    logger.warn({ err: error, users: users.length }, "the presence of suspended users could not be ended"),
  );
  const { promise: impatient, resolve } = Promise.withResolvers<void>();
  const patience = systemClock.schedule(PATIENCE_MS, resolve);
  return { over, soon: Promise.race([over, impatient]).finally(() => patience[Symbol.dispose]()) };
}
