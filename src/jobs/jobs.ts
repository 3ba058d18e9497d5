import { randomUUID } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import type { Logger } from "../logger.ts";
import { CLAIM_MS, keepClaim } from "./claim.ts";
import type { Job } from "./job.ts";
import { END, type JobState, LOOK } from "./job-statements.ts";

export interface JobPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: {
    gaugeBy(label: string, name: string, help: string, read: () => Iterable<readonly [string, number]>): void;
  };
}

/** How often a process looks at a job that is not known to be due sooner, and the least time between two looks. */
const LOOK_MS = 30_000;
const LEAST_MS = 1_000;
/** How long a job rests that failed once; twice as long after each further time, up to ten minutes. */
const RETRY_MS = 10_000;
const MOST_RETRY_MS = 600_000;

/**
 * Has the jobs done, from a second from now on: each run by one process of the deployment, the one that first claims it. A run that
 * fails is tried again. Disposing this aborts the runs of this process and waits for them; others then go on with them.
 */
export function createJobs(ports: JobPorts, jobs: readonly Job[]): AsyncDisposable {
  const stop = new AbortController();
  const successes = new Map<string, number>();
  ports.metrics.gaugeBy(
    "job",
    "job_last_success_timestamp_seconds",
    "When a scheduled job last succeeded on some server of the deployment; 0: never",
    () => successes,
  );
  const ends = jobs.map((job) => repeat(ports, job, stop.signal, (at) => successes.set(job.name, at)));
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(ends.map((end) => end()));
    },
  };
}

/** Tells when the job last succeeded, in seconds since the epoch. */
type OnSuccess = (at: number) => void;

/** Takes turn after turn until the signal aborts. Gives what waits for the last of them. */
function repeat(ports: JobPorts, job: Job, stop: AbortSignal, onSuccess: OnSuccess): () => Promise<void> {
  let turn: Promise<void> | undefined;
  let timer: Disposable | undefined;
  const next = (delayMs: number) => {
    if (stop.aborted) return;
    timer = ports.clock.schedule(delayMs, () => {
      turn = takeTurn(ports, job, stop, onSuccess).then(next);
    });
  };
  next(LEAST_MS);
  return async () => {
    timer?.[Symbol.dispose]();
    await turn;
  };
}

/** Looks at a job, runs it if it is due, and gives after how many milliseconds to look again. Never rejects. */
async function takeTurn(ports: JobPorts, job: Job, stop: AbortSignal, onSuccess: OnSuccess): Promise<number> {
  const { db, clock, logger } = ports;
  try {
    const runId = randomUUID();
    const now = clock.now();
    const values = [job.name, new Date(now), runId, new Date(now + CLAIM_MS)];
    const [found] = await query<JobState>(db.pool, LOOK, values, stop);
    if (!found) return LEAST_MS;
    const state = found.claimed ? await run(ports, job, { ...found, runId }, stop) : found;
    onSuccess((state.lastSuccessTime?.getTime() ?? 0) / 1_000);
    return Math.min(Math.max(state.dueTime.getTime() - clock.now(), LEAST_MS), LOOK_MS);
  } catch (error) {
    // While the database is away every look fails, and other lines of the log say so.
    if (!stop.aborted) logger.debug({ err: error, job: job.name }, "a job could not be looked at; it is tried again");
    return LOOK_MS;
  }
}

/** Runs a job that is claimed and gives how it then stands. Rejects where that cannot be noted: the claim runs out. */
async function run(
  ports: JobPorts,
  job: Job,
  claimed: JobState & { readonly runId: string },
  stop: AbortSignal,
): Promise<JobState> {
  const { db, clock } = ports;
  const outcome = await outcomeOf(ports, job, claimed.runId, stop);
  const now = clock.now();
  const after = {
    SUCCEEDED: { restMs: job.everyMs, lastSuccessTime: new Date(now), failures: 0 },
    FAILED: { ...claimed, restMs: retryMs(claimed.failures), failures: claimed.failures + 1 },
    STOPPED: { ...claimed, restMs: 0 },
  }[outcome];
  const { lastSuccessTime, failures } = after;
  const dueTime = new Date(now + after.restMs);
  await query(db.pool, END, [job.name, claimed.runId, dueTime, lastSuccessTime, failures]);
  return { claimed: false, dueTime, lastSuccessTime, failures };
}

const retryMs = (failures: number): number => Math.min(RETRY_MS * 2 ** failures, MOST_RETRY_MS);

async function outcomeOf(
  ports: JobPorts,
  job: Job,
  runId: string,
  stop: AbortSignal,
): Promise<"SUCCEEDED" | "FAILED" | "STOPPED"> {
  await using claim = keepClaim(ports, job.name, runId);
  try {
    await job.run(AbortSignal.any([stop, claim.lost]));
    return "SUCCEEDED";
  } catch (error) {
    if (stop.aborted) return "STOPPED";
    ports.logger.error({ err: error, job: job.name }, "a job failed; it is tried again");
    return "FAILED";
  }
}
