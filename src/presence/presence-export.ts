import type { JsonMap, ValueSection } from "../export/export-section.ts";
import { type Micros, readSteps, type Step } from "./chain.ts";
import type { PresenceRecord } from "./effective-presence.ts";
import type { PresenceEngine } from "./engine.ts";

interface Row {
  /** `bigint`s come as text. */
  readonly rev: string;
  readonly set_at: string;
  readonly since: string;
  readonly chain: string;
}

/**
 * The presence that was last set for a user: all steps of it, whichever is in force. With an engine that keeps records elsewhere it
 * is that one's; what the table has then is from before, and exported where there is nothing newer.
 */
export const presenceExport = (engine?: Pick<PresenceEngine, "recordOf">): ValueSection => ({
  kind: "value",
  name: "presence",
  tables: {
    presences: {
      exported: ["rev", "set_at", "since", "chain"],
      withheld: { first_ttl: "the ttl of the first step, once more", ends_at: "follows from set_at and the ttls" },
    },
  },
  async read(em, { projectId }, userId) {
    const kept = await engine?.recordOf?.({ projectId, userId });
    if (kept) return recordJson(kept);
    const sql = "select rev, set_at, since, chain from presences where project_id = ? and user_id = ?";
    const [row] = await em.execute<Row[]>(sql, [projectId, userId]);
    if (!row) return null;
    const [revision, setAt, since] = [row.rev, row.set_at, row.since].map(Number) as [number, number, number];
    return recordJson({ revision, setAt, since, steps: readSteps(row.chain) });
  },
});

const recordJson = ({ revision, setAt, since, steps }: PresenceRecord): JsonMap => ({
  revision,
  set_time: isoTime(setAt),
  since_time: isoTime(since),
  steps: steps.map(stepJson),
});

/** A step as it was set, its span as JSON writes a Duration. */
const stepJson = ({ ttl, ...step }: Step): JsonMap => ({
  ...(step as JsonMap),
  ...(ttl !== undefined && { ttl: `${ttl / 1_000_000}s` }),
});

/** To the microsecond. */
const isoTime = (time: Micros): string =>
  new Date(Math.floor(time / 1_000)).toISOString().replace("Z", `${String(time % 1_000).padStart(3, "0")}Z`);
