import type { Finding } from "../audit/findings.ts";
import type { Place } from "../audit/seal.ts";
import { createSealKeys } from "../audit/seal-keys.ts";
import { auditedProjects, type VerifiedTrail, verifyAudit } from "../audit/verify-audit.ts";
import { type KnownHeads, knownHeads } from "./audit-heads.ts";
import { CommandEnd } from "./command-end.ts";
import type { Host } from "./host.ts";
import { printTable, printValue } from "./print.ts";
import { type DatabasePorts, withDatabase } from "./with-database.ts";

export interface VerifyOptions {
  readonly project?: string;
  readonly expect?: readonly string[];
  readonly heads?: string;
  readonly json?: true;
}

/** Something is not as it was. */
const FOUND = 1;

/** Verifies the trail of one project or of all of them, and prints what is wrong with them and where they end. */
export async function runVerify(host: Host, options: VerifyOptions): Promise<void> {
  const known = await knownHeads(options.expect ?? [], options.heads);
  await withDatabase(host, async (ports) => {
    const trails = await verifyAll(ports, known, options.project);
    const findings = trails.reduce((sum, { findingCount }) => sum + findingCount, 0);
    if (options.json) printValue(host, { projects: trails.map(recordOf), findings });
    else printTrails(host, trails, findings);
    if (findings > 0) throw new CommandEnd(FOUND);
  });
}

async function verifyAll(
  { db, encryptionKeys }: DatabasePorts,
  known: KnownHeads,
  project: string | undefined,
): Promise<VerifiedTrail[]> {
  const ports = { db, keys: createSealKeys(encryptionKeys) };
  if (project !== undefined) return [await verifyAudit(ports, project, known.get(project))];
  const trails: VerifiedTrail[] = [];
  const gone = new Set(known.keys());
  for await (const projectId of auditedProjects(ports)) {
    trails.push(await verifyAudit(ports, projectId, known.get(projectId)));
    gone.delete(projectId);
  }
  for (const projectId of gone) trails.push(await verifyAudit(ports, projectId, known.get(projectId)));
  return trails;
}

function printTrails(host: Host, trails: readonly VerifiedTrail[], findings: number): void {
  printTable(host, false, trails.map(recordOf), [
    ...["project_id", "seals", "entries", "unsealed", "sealed_late", "pruned", "finding_count", "head"],
  ]);
  for (const trail of trails) {
    for (const finding of trail.findings) printValue(host, lineOf(finding));
    const more = trail.findingCount - trail.findings.length;
    if (more > 0) printValue(host, `project ${trail.projectId}: ${more} more findings`);
  }
  printValue(host, findings === 0 ? "Nothing was changed that is sealed." : `${findings} findings.`);
}

function lineOf({ projectId, kind, seal, after, upTo, time, detail }: Finding): string {
  const places = [after && `behind ${placeOf(after)}`, upTo && `${after ? "up to" : "at"} ${placeOf(upTo)}`];
  const where = [seal && `seal ${seal}`, ...places, time && timeOf(time)].filter(Boolean).join(", ");
  return `${kind}: project ${projectId}${where && `, ${where}`}: ${detail}`;
}

const recordOf = (trail: VerifiedTrail) => ({
  project_id: trail.projectId,
  head: trail.head ? `${trail.head.number}:${trail.head.hash}` : null,
  seals: trail.seals,
  entries: trail.entries,
  unsealed: trail.unsealed,
  sealed_late: trail.sealedLate,
  pruned: Number(trail.pruned),
  finding_count: trail.findingCount,
  findings: trail.findings.map(({ kind, seal, after, upTo, time, detail }) => ({
    kind,
    ...(seal !== undefined && { seal: Number(seal) }),
    ...(after && { after: placeOf(after) }),
    ...(upTo && { up_to: placeOf(upTo) }),
    ...(time !== undefined && { time: timeOf(time) }),
    detail,
  })),
});

/** As `<transaction id>/<sequence>`. */
const placeOf = ({ transactionId, sequence }: Place): string => `${transactionId}/${sequence}`;

/** As in RFC 3339; what no Date can hold stays as it is. */
function timeOf(microseconds: string): string {
  const date = new Date(Number(microseconds) / 1_000);
  return Number.isNaN(date.getTime()) ? microseconds : date.toISOString();
}
