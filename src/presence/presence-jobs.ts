import type { Job } from "../jobs/job.ts";
import type { PresenceEngine } from "./engine.ts";

const HOUR_MS = 3_600_000;

/** What presence has done from time to time. */
export const presenceJobs = (engine: PresenceEngine): Job[] => [
  // A store beside the database hears of deletions only while it is there.
  {
    name: "gone-presences",
    everyMs: HOUR_MS,
    async run(signal) {
      await engine.sweep?.(signal);
    },
  },
];
