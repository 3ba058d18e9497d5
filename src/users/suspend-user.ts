import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { invalid } from "../errors.ts";
import { appendEvent } from "../events/append-event.ts";
import type { NewId } from "../ids.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import { type AnnounceEnd, beforeTimeAt, endAccess, forgetAfter } from "../revocations/revocations.ts";
import type { ProjectScope } from "./find-user.ts";
import { withLockedUser } from "./held-locators.ts";
import type { Suspension, User } from "./user.entity.ts";
import type { UserKey } from "./user-key.ts";
import type { UserRow } from "./user-statements.ts";

export interface SuspensionPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly projects: ProjectDirectory;
  readonly announceEnd: AnnounceEnd;
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

/** The most suspensions of one user. */
const MOST_SUSPENSIONS = 100;

/**
 * Gives a user a suspension, with its `user.suspended`. One that blocks the sign-in ends for good, when it starts, what the user is
 * signed in by; until then it is pending. USER_NOT_FOUND, USER_DELETED; REQUEST_INVALID for an end that is not after the start, or one
 * suspension too many.
 */
export async function suspendUser(
  ports: SuspensionPorts,
  scope: ProjectScope,
  key: UserKey,
  given: NewSuspension,
): Promise<UserRow> {
  const { db, clock, newId, projects } = ports;
  const { startAt = clock.now(), endAt } = given;
  if (endAt !== undefined && endAt <= startAt) throw invalid("suspension.end_time", "must be after start_time");
  const { settings } = await projects.get(scope.projectId);
  const suspension = suspensionOf(newId(), { ...given, startAt });
  const user = await withLockedUser(db, scope, key, async (em, held) => {
    if (held.suspensions.length >= MOST_SUSPENSIONS)
      throw invalid("suspension", `the user has ${MOST_SUSPENSIONS} suspensions already`);
    // Read under the lock: what was issued before is then older than this.
    const now = clock.now();
    held.suspensions = [...held.suspensions, suspension];
    held.updateTime = new Date(now);
    held.version += 1;
    await appendSuspended(em, newId(), held, suspension);
    if (!given.blocksSignIn || (endAt ?? now + 1) <= now) return held;
    if (startAt > now) await waitForStart(em, held, suspension);
    else await endSignIn(em, held, now, settings.tokenTtlMaxMs);
    return held;
  });
  if (startAt > clock.now()) ports.announcePending();
  else ports.announceEnd();
  return user;
}

const suspensionOf = (id: string, { reason, startAt, endAt, blocksSignIn }: NewSuspension & { startAt: number }) => ({
  id,
  reason,
  start_time: new Date(startAt).toISOString(),
  ...(endAt !== undefined && { end_time: new Date(endAt).toISOString() }),
  blocks_sign_in: blocksSignIn,
});

function appendSuspended(em: SqlEntityManager, id: string, user: User, suspension: Suspension): Promise<void> {
  const data = { user_id: user.id, external_id: user.externalId, suspension };
  const { projectId, updateTime } = user;
  return appendEvent(em, { projectId, id, type: "user.suspended", userId: user.id, data, createTime: updateTime });
}

function waitForStart(em: SqlEntityManager, { projectId, id }: User, suspension: Suspension): Promise<unknown> {
  return em.execute("insert into pending_suspensions (project_id, id, user_id, start_time) values (?, ?, ?, ?)", [
    projectId,
    suspension.id,
    id,
    suspension.start_time,
  ]);
}

function endSignIn(em: SqlEntityManager, { projectId, id }: User, now: number, longestLifeMs: number): Promise<void> {
  const beforeTime = beforeTimeAt(now);
  return endAccess(em, {
    projectId,
    subject: { userId: id, beforeTime },
    cause: "USER_SUSPENDED",
    forgetAfterTime: forgetAfter(beforeTime.getTime() + longestLifeMs),
    createTime: new Date(now),
  });
}
