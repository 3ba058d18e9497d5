import type { Job } from "../jobs/job.ts";
import { type PrunePorts, pruneAudit } from "./prune-audit.ts";
import { sealAudit } from "./seal-audit.ts";

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;

/** What the audit trail has done from time to time. */
export const auditJobs = (ports: PrunePorts): Job[] => [
  // As long as an entry is not sealed, a change of it is not found; a seal takes about as much room as an entry.
  { name: "audit-seals", everyMs: 10 * SECOND_MS, run: (signal) => sealAudit(ports, signal) },
  { name: "audit-retention", everyMs: HOUR_MS, run: (signal) => pruneAudit(ports, signal) },
];
