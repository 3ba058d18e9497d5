import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { KEEP } from "./job-statements.ts";

/** How long a claim lasts that is not kept, in milliseconds: a process that is killed delays its job by this much. */
export const CLAIM_MS = 60_000;
const KEEP_EVERY_MS = 20_000;

/** A run of a job that is this process's. */
export interface Claim extends AsyncDisposable {
  /** Aborts where another process may have the job by now. */
  readonly lost: AbortSignal;
}

/** Keeps the claim of a run until it is disposed. Where the database cannot be asked the claim runs out. */
export function keepClaim(
  { db, clock }: { readonly db: Database; readonly clock: Clock },
  name: string,
  runId: string,
): Claim {
  const lost = new AbortController();
  let keptAt = clock.monotonic();
  let keeping: Promise<void> | undefined;
  let ended = false;

  async function keep(): Promise<void> {
    const askedAt = clock.monotonic();
    try {
      const kept = await query(db.pool, KEEP, [name, runId, new Date(clock.now() + CLAIM_MS)]);
      if (kept.length > 0) keptAt = askedAt;
      else lost.abort(new Error("another process has the job"));
    } catch (error) {
      if (clock.monotonic() - keptAt >= CLAIM_MS) lost.abort(error);
    }
  }

  const again = () =>
    clock.schedule(KEEP_EVERY_MS, () => {
      keeping = keep().finally(() => {
        if (!ended && !lost.signal.aborted) timer = again();
      });
    });
  let timer = again();
  return {
    lost: lost.signal,
    async [Symbol.asyncDispose]() {
      ended = true;
      timer[Symbol.dispose]();
      await keeping;
    },
  };
}
