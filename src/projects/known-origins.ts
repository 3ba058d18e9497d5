import type { Clock } from "../clock.ts";
import { createLastKnown } from "../db/last-known.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { LAST_KNOWN } from "./project-directory.ts";

const ORIGINS: Statement = {
  name: "projects_origins",
  text: "select distinct jsonb_array_elements_text(settings -> 'corsOrigins') as origin from projects where settings ? 'corsOrigins'",
};

/** Whether some project lists an origin; at most half a second old. Read whole, so that made-up origins cost nothing. */
export function createKnownOrigins(db: Database, clock: Clock): (origin: string) => Promise<boolean> {
  const origins = createLastKnown({
    ...LAST_KNOWN,
    clock,
    async load() {
      const rows = await query<{ origin: string }>(db.pool, ORIGINS, []);
      return new Set(rows.map((row) => row.origin));
    },
  });
  return async (origin) => (await origins.get("all"))?.has(origin) ?? false;
}
