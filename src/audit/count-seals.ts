import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";

/** How many seals are verified by which encryption key, by the ids of the keys. Reads all of them. STORAGE_UNAVAILABLE. */
export async function countSeals({ pool }: Pick<Database, "pool">): Promise<ReadonlyMap<string, number>> {
  const text = "select coalesce(prune_key_id, key_id) as id, count(*)::int as seals from audit_seals group by 1";
  const rows = await query<{ id: string; seals: number }>(pool, { text }, []);
  return new Map(rows.map(({ id, seals }) => [id, seals]));
}
