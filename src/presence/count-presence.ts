import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../clock.ts";
import { MusterError } from "../errors.ts";
import type { ProjectScope } from "../users/users.ts";
import type { Micros } from "./chain.ts";
import { spanAt } from "./effective-presence.ts";
import { type ScanDeps, scanPage } from "./scan-presences.ts";
import type { ProjectDefaults } from "./subjects.ts";

/** How many users have which status. */
export interface PresenceCounts {
  /** By status, the most frequent first; the project's default presence is not among them. */
  readonly counts: ReadonlyMap<string, number>;
  /** When the scan began, on the engine's clock. */
  readonly time: Micros;
}

export interface CountDeps {
  readonly counter: PresenceCounter;
  readonly projects: ProjectDefaults;
}

/** A count that took less than this costs too little to be kept. */
const CHEAP_MS = 50;
/** What took long is good for so many times as long: counting takes a tenth of the time at most. */
const KEEP_FACTOR = 10;

/**
 * Counts the users of a project by the status in force.
 * @throws PRINCIPAL_NOT_ALLOWED to users, unless the project lets them list
 */
export async function countPresence(
  { counter, projects }: CountDeps,
  { projectId }: ProjectScope,
  byUser: boolean,
): Promise<PresenceCounts> {
  const { settings } = await projects.get(projectId);
  if (byUser && !settings.usersMayList) throw new MusterError("PRINCIPAL_NOT_ALLOWED");
  return counter.count(projectId, settings.defaultPresence);
}

/** Counts users one by one, those left out whose chains are over. */
async function countByScan(deps: ScanDeps, projectId: string): Promise<{ now: Micros; counts: Map<string, number> }> {
  const counts = new Map<string, number>();
  let begun: Micros | undefined;
  for (let after: string | undefined = ""; after !== undefined; ) {
    const { now, users, next } = await scanPage(deps, { projectId }, after);
    begun ??= now;
    for (const { record } of users) {
      const step = record.steps[spanAt(record, now).step];
      if (step) counts.set(step.status, (counts.get(step.status) ?? 0) + 1);
    }
    after = next;
    await nextTurn();
  }
  return { now: begun ?? 0, counts };
}

interface Finished {
  readonly counts: PresenceCounts;
  readonly defaultStatus: string;
  readonly keptUntil: number;
}

/**
 * Counts by reading all presences of a project: one count at a time for each project, whoever asks. A call is answered by one that began
 * after it came, or by one that took long and is not yet ten times as old.
 */
export class PresenceCounter {
  readonly #deps: ScanDeps;
  readonly #clock: Clock;
  readonly #running = new Map<string, Promise<PresenceCounts>>();
  readonly #waiting = new Map<string, Promise<PresenceCounts>>();
  readonly #kept = new Map<string, Finished>();

  constructor(deps: ScanDeps, clock: Clock) {
    this.#deps = deps;
    this.#clock = clock;
  }

  async count(projectId: string, defaultStatus: string): Promise<PresenceCounts> {
    const kept = this.#kept.get(projectId);
    if (kept && kept.keptUntil > this.#clock.monotonic() && kept.defaultStatus === defaultStatus) return kept.counts;
    const running = this.#running.get(projectId);
    if (!running) return this.#start(projectId, defaultStatus);
    const waiting = this.#waiting.get(projectId) ?? this.#startAfter(running, projectId, defaultStatus);
    this.#waiting.set(projectId, waiting);
    return waiting;
  }

  async #startAfter(running: Promise<unknown>, projectId: string, defaultStatus: string): Promise<PresenceCounts> {
    await running.catch(() => {});
    this.#waiting.delete(projectId);
    return this.#start(projectId, defaultStatus);
  }

  #start(projectId: string, defaultStatus: string): Promise<PresenceCounts> {
    const counting = this.#scan(projectId, defaultStatus).finally(() => this.#running.delete(projectId));
    this.#running.set(projectId, counting);
    return counting;
  }

  async #scan(projectId: string, defaultStatus: string): Promise<PresenceCounts> {
    const begun = this.#clock.monotonic();
    const { now, counts: found } =
      (await this.#deps.engine.count?.(projectId)) ?? (await countByScan(this.#deps, projectId));
    const others = [...found].filter(([status]) => status !== defaultStatus);
    const counts = { counts: new Map(others.sort(([, a], [, b]) => b - a)), time: now };
    this.#keep(projectId, { counts, defaultStatus }, this.#clock.monotonic() - begun);
    return counts;
  }

  #keep(projectId: string, finished: Omit<Finished, "keptUntil">, tookMs: number): void {
    const now = this.#clock.monotonic();
    for (const [id, { keptUntil }] of this.#kept) if (keptUntil <= now) this.#kept.delete(id);
    if (tookMs >= CHEAP_MS) this.#kept.set(projectId, { ...finished, keptUntil: now + KEEP_FACTOR * tookMs });
  }
}
