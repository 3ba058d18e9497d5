import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import { readSteps, type Step } from "../chain.ts";
import type { ScannedUser, ScanPage } from "../engine.ts";
import { COUNT_STATEMENT, SCAN_STATEMENT } from "./statements.ts";

interface Row {
  now: number;
  looked: number;
  last: string | null;
  user_id: string | null;
  rev: number;
  set_at: number;
  since: number;
  chain: string;
}

interface CountRow {
  now: number;
  status: string | null;
  count: number;
}

const NOBODY = "00000000-0000-0000-0000-000000000000";

/** A page of a scan: from the id of one user to another's. */
export async function scanPage(
  db: Database,
  projectId: string,
  after: string,
  limit: number,
  signal?: AbortSignal,
): Promise<ScanPage> {
  const rows = await query<Row>(db.pool, SCAN_STATEMENT, [projectId, after || NOBODY, limit], signal);
  // Most users have one of a few chains.
  const chains = new Map<string, readonly Step[]>();
  const stepsOf = (chain: string): readonly Step[] => {
    const steps = chains.get(chain) ?? readSteps(chain);
    chains.set(chain, steps);
    return steps;
  };
  const users = rows.flatMap(({ user_id: userId, rev: revision, set_at: setAt, since, chain }): ScannedUser[] =>
    userId === null ? [] : [{ userId, position: userId, record: { revision, setAt, since, steps: stepsOf(chain) } }],
  );
  const { now = 0, looked = 0, last } = rows[0] ?? {};
  return { now, users, next: looked < limit ? undefined : (last ?? undefined) };
}

/** How many users have which status. */
export async function countByStatus(db: Database, projectId: string) {
  const rows = await query<CountRow>(db.pool, COUNT_STATEMENT, [projectId]);
  const counts = rows.flatMap(({ status, count }): [string, number][] => (status === null ? [] : [[status, count]]));
  return { now: rows[0]?.now ?? 0, counts: new Map(counts) };
}
