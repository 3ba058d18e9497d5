import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import type { Logger } from "../logger.ts";
import { type AnnounceEnd, endAccessSql, validFromSql } from "../revocations/revocations.ts";

export interface SuspensionStartPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly announceEnd: AnnounceEnd;
}

/** How often it is looked for suspensions that start: at the start itself, where it was known at the look before. */
const LOOK_MS = 500;
const MOST_AT_ONCE = 1_000;
/** The longest life that a project can give a token: nobody looks at the project's setting when a suspension starts. */
const FORGET_AFTER = "interval '366 days'";

/**
 * Ends what the users are signed in by whose suspensions have started, each on one server: $1 now, $2 the most at once. All that was
 * there at the start is dead, whenever this is run: none was issued since. Gives how many started, and when the next one does.
 */
const START: Statement = {
  name: "users_start_suspensions",
  text: `
    with due as (
      delete from pending_suspensions where (project_id, id) in (
        select project_id, id from pending_suspensions where start_time <= $1 order by start_time limit $2 for update skip locked)
      returning project_id, user_id, start_time
    ), started as (
      select project_id, user_id, date_trunc('second', max(start_time)) + interval '1 second' as before_time from due
      group by project_id, user_id order by project_id, user_id
    ), written as (
      update users u set tokens_valid_from = ${validFromSql("u", "started.before_time")}
      from started where u.project_id = started.project_id and u.id = started.user_id
      returning u.project_id, u.id, u.tokens_valid_from as before_time
    ), ended as (${endAccessSql({
      from: "written",
      projectId: "project_id",
      subject: { userId: "id", beforeTime: "before_time" },
      cause: "USER_SUSPENDED",
      forgetAfterTime: `before_time + ${FORGET_AFTER}`,
      createTime: "$1::timestamptz",
    })})
    select (select count(*) from due)::int as started,
      (select min(start_time) from pending_suspensions where start_time > $1) as "nextStart"`,
};

/** Has suspensions start. Any number of servers may. */
export interface SuspensionStarts extends AsyncDisposable {
  /** Has it look at once: there may be one that starts soon. */
  wake(): void;
}

/** Looks at once, and from then on, for suspensions that start. */
export function startSuspensions({ db, clock, logger, announceEnd }: SuspensionStartPorts): SuspensionStarts {
  let closed = false;
  let timer: Disposable | undefined;
  let looking: Promise<void> | undefined;
  let again = false;

  /** Gives for how long there is nothing to do, as far as is known. */
  async function startDue(): Promise<number> {
    const values = [new Date(clock.now()), MOST_AT_ONCE];
    const [row] = await query<{ started: number; nextStart: Date | null }>(db.pool, START, values);
    if (row && row.started > 0) announceEnd();
    if (row?.started === MOST_AT_ONCE) return 0;
    return row?.nextStart ? Math.min(LOOK_MS, Math.max(0, row.nextStart.getTime() - clock.now())) : LOOK_MS;
  }

  async function look(): Promise<void> {
    again = false;
    const waitMs = await startDue().catch((error: unknown) => {
      if (!closed) logger.warn({ err: error }, "it cannot be seen which suspensions start");
      return LOOK_MS;
    });
    looking = undefined;
    if (again) wake();
    else if (!closed) timer = clock.schedule(waitMs, wake);
  }

  function wake(): void {
    if (looking) again = true;
    else if (!closed) {
      timer?.[Symbol.dispose]();
      looking = look();
    }
  }

  wake();
  return {
    wake,
    async [Symbol.asyncDispose]() {
      closed = true;
      timer?.[Symbol.dispose]();
      await looking;
    },
  };
}
