import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAudit } from "../audit/append-audit.ts";
import type { Clock } from "../clock.ts";
import type { Act } from "../db/act.ts";
import type { Database } from "../db/orm.ts";
import { type RecordedStatement, type WriteScope, write } from "../db/recorded.ts";
import { appendEvent } from "../events/append-event.ts";
import type { NewId } from "../ids.ts";
import { endAccess } from "../revocations/revocations.ts";
import { END_OTHERS, END_REUSED, END_SESSION } from "./end-statements.ts";
import { DAY_MS } from "./session-ends.ts";

export interface EndPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  /** Tells the other servers, after the commit, that access ended. */
  announceEnd(): void;
  /** Hears of each refresh token that was used again after its time. */
  onReuse(): void;
}

/** For how long verifiers elsewhere have to know of an ended session: longer than any access token of it may live. */
const FORGET_AFTER_MS = DAY_MS + 60_000;

/** Whose session it has to be; undefined: anyone's of the project. */
type Owner = string | undefined;

/** Ends a session with its `session.ended`, in one statement; one that is not there is ended already. */
export async function endSession(ports: EndPorts, scope: WriteScope, sessionId: string, owner: Owner): Promise<void> {
  await end(ports, scope, END_SESSION, [sessionId, owner ?? null, ports.newId()]);
}

/** Ends all sessions of a session's user but that one, each with its `session.ended`, in one statement. */
export async function endOtherSessions(
  ports: EndPorts,
  scope: WriteScope,
  keptId: string,
  owner: Owner,
): Promise<void> {
  await end(ports, scope, END_OTHERS, [keptId, owner ?? null]);
}

/** Ends a session of which a used token came back, with `session.reuse_detected`; `counter` is the number of that token. */
export async function endReusedSession(
  ports: EndPorts,
  scope: WriteScope,
  sessionId: string,
  counter: number,
): Promise<void> {
  ports.onReuse();
  await end(ports, scope, END_REUSED, [sessionId, counter, ports.newId()]);
}

async function end(
  { db, clock, announceEnd }: EndPorts,
  scope: WriteScope,
  statement: RecordedStatement,
  subject: readonly unknown[],
): Promise<void> {
  const now = clock.now();
  const values = [scope.projectId, new Date(now), new Date(now + FORGET_AFTER_MS), ...subject];
  const ended = await write(db, scope, statement, values);
  if (ended.length > 0) announceEnd();
}

/** Ends the sessions of a user but one, in the transaction of `em`, whose caller holds the lock of the user's row; gives how many. */
export async function endSessionsOf(
  em: SqlEntityManager,
  { newId, act }: { readonly newId: NewId; readonly act: Act },
  { projectId, userId, keptId, now }: { projectId: string; userId: string; keptId: string | undefined; now: Date },
): Promise<number> {
  const gone: { id: string }[] = await em.execute(
    "delete from sessions where project_id = ? and user_id = ? and id is distinct from ?::uuid returning id",
    [projectId, userId, keptId ?? null],
  );
  const forgetAfterTime = new Date(now.getTime() + FORGET_AFTER_MS);
  for (const { id: sessionId } of gone) {
    const end = {
      projectId,
      subject: { sessionId },
      cause: "PASSWORD_CHANGED",
      forgetAfterTime,
      createTime: now,
    } as const;
    await endAccess(em, end);
    const data = { session_id: sessionId, user_id: userId };
    await appendEvent(em, { projectId, id: newId(), type: "session.ended", userId, data, act, createTime: now });
    const details = { ended: end.cause };
    await appendAudit(em, act, { projectId, userId, target: `session/${sessionId}`, details, createTime: now });
  }
  return gone.length;
}
