import { onTestFinished } from "vitest";
import type { Database } from "../../src/db/orm.ts";
import type { Job } from "../../src/jobs/job.ts";
import { createJobs } from "../../src/jobs/jobs.ts";
import { createLogger } from "../../src/logger.ts";
import { createMetrics } from "../../src/rpc/metrics.ts";
import type { FakeClock } from "../support/fake-clock.ts";
import { plainRequest } from "../support/plain-request.ts";

/** One process of a deployment, with jobs alone. */
export interface JobProcess extends AsyncDisposable {
  /** The lines of its log so far. */
  readonly log: readonly string[];
  /** When a job last succeeded, as its metrics say it; undefined: they say nothing. */
  lastSuccess(name: string): Promise<number | undefined>;
}

/** Starts a process; it ends with the test. */
export function startJobs(db: Database, clock: FakeClock, jobs: readonly Job[]): JobProcess {
  const log: string[] = [];
  const logger = createLogger("info", { write: (line: string) => void log.push(line) });
  const metrics = createMetrics();
  const running = createJobs({ db, clock, logger, metrics }, jobs);
  onTestFinished(() => running[Symbol.asyncDispose]());
  return {
    log,
    async lastSuccess(name) {
      const { body } = await metrics.route.handle(plainRequest("/metrics", ["/metrics"]));
      const line = `muster_job_last_success_timestamp_seconds{job="${name}"} `;
      const found = String(body)
        .split("\n")
        .find((it) => it.startsWith(line));
      return found === undefined ? undefined : Number(found.slice(line.length));
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}
