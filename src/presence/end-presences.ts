import { setTimeout as sleep } from "node:timers/promises";
import { MusterError } from "../errors.ts";
import { ENDED } from "./chain.ts";
import { keyOf, MAX_BATCH, type Outcome, type PresenceEngine, type Subject } from "./engine.ts";

/** Users that other transactions hold are tried again this often, at growing distance: for about 2 s in all. */
const BUSY_TRIES = 8;

/**
 * Ends what is in force for users, as if nothing had been set. Those that are not there are passed over. Past the writer, where a change
 * that comes later takes the place of one that waits: an end is not to be replaced.
 * @throws STORAGE_UNAVAILABLE, CONFLICT
 */
export async function endPresences(engine: PresenceEngine, subjects: readonly Subject[]): Promise<void> {
  const once = [...new Map(subjects.map((subject) => [keyOf(subject), subject])).values()];
  for (let start = 0; start < once.length; start += MAX_BATCH)
    await endBatch(engine, once.slice(start, start + MAX_BATCH));
}

async function endBatch(engine: PresenceEngine, batch: readonly Subject[]): Promise<void> {
  let left = batch;
  for (let tries = 0; ; tries++) {
    const { outcomes } = await engine.set(left.map((subject) => ({ subject, chain: ENDED })));
    if (outcomes.includes("unavailable")) throw new MusterError("STORAGE_UNAVAILABLE", { retryAfterMs: 1_000 });
    left = left.filter((_, index) => isBusy(outcomes[index]));
    if (left.length === 0) return;
    if (tries === BUSY_TRIES) throw new MusterError("CONFLICT");
    await sleep(10 * 2 ** tries);
  }
}

const isBusy = (outcome: Outcome | undefined): boolean => outcome === "busy";
