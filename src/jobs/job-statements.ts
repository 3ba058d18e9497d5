import type { Statement } from "../db/statement.ts";

/** What a process learns of a job when it looks at it. */
export interface JobState extends Record<string, unknown> {
  /** Whether the run is now this process's. */
  readonly claimed: boolean;
  /** When somebody may run it next. */
  readonly dueTime: Date;
  readonly lastSuccessTime: Date | null;
  /** Runs that failed since the last that succeeded. */
  readonly failures: number;
}

/**
 * Claims a job that is due, for one of any number of processes, and tells how it stands; gives no row where another process makes
 * the row in this moment. $1 name, $2 time, $3 run, $4 until when it is claimed.
 */
export const LOOK: Statement = {
  name: "jobs_look",
  text: `
    with claimed as (
      insert into jobs as j (name, due_time, run_id, start_time) values ($1, $4, $3, $2)
      on conflict (name) do update set due_time = excluded.due_time, run_id = excluded.run_id, start_time = excluded.start_time
      where j.due_time <= $2
      returning j.*
    )
    select true as claimed, due_time as "dueTime", last_success_time as "lastSuccessTime", failures from claimed
    union all
    select false, due_time, last_success_time, failures from jobs where name = $1 and not exists (select from claimed)`,
};

/** Keeps the claim of a run, unless another process has the job by now: $1 name, $2 run, $3 until when. Gives the job if it is kept. */
export const KEEP: Statement = {
  name: "jobs_keep",
  text: "update jobs set due_time = $3 where name = $1 and run_id = $2 returning name",
};

/** Ends a run: $1 name, $2 run, $3 when the next is due, $4 when it last succeeded, $5 failures since then. */
export const END: Statement = {
  name: "jobs_end",
  text: `
    update jobs set run_id = null, due_time = $3, last_success_time = $4, failures = $5
    where name = $1 and run_id = $2`,
};
