import type { Job } from "../jobs/job.ts";
import { type RemovalPorts, removeOldEvents } from "./remove-old-events.ts";

const HOUR_MS = 3_600_000;

/** What the history has done from time to time. */
export const eventJobs = (ports: RemovalPorts): Job[] => [
  { name: "old-events", everyMs: HOUR_MS, run: (signal) => removeOldEvents(ports, signal) },
];
