import { PREFIX_BYTES, type SealContext, type Sealer, sealingKeyId } from "../sealing.ts";
import { StartError } from "../start-error.ts";
import type { Database } from "./orm.ts";
import type { SealedColumn } from "./sealed-column.ts";
import { query } from "./statement.ts";

/** How many secrets of a column are sealed under a key. */
export interface SealedUnder {
  readonly table: string;
  /** As `Sealer.keyIds` gives them. */
  readonly keyId: string;
  readonly rows: number;
}

/** What came of a rotation of the encryption key. */
export interface Resealed {
  /** How many secrets were sealed anew. */
  readonly resealed: number;
  /** How many do not open, and stay as they are: they were changed, or belong elsewhere. */
  readonly unopened: number;
}

/** Rows that are sealed anew in one transaction. */
const BATCH = 100;

const prefixOf = ({ column }: SealedColumn): string => `substring(${column} from 1 for ${PREFIX_BYTES})`;

/** Counts the secrets by the key they are sealed under. Reads whole indexes. STORAGE_UNAVAILABLE. */
export async function countSealed(db: Database, columns: readonly SealedColumn[]): Promise<SealedUnder[]> {
  const counted = columns.map(async (column) => {
    const text = `select ${prefixOf(column)} as prefix, count(*) as rows from ${column.table}
      where ${prefixOf(column)} is not null group by 1 order by 1`;
    const found = await query<{ prefix: Buffer; rows: number }>(db.pool, { text }, []);
    return found.map(({ prefix, rows }) => ({ table: column.table, keyId: sealingKeyId(prefix), rows }));
  });
  return (await Promise.all(counted)).flat();
}

/**
 * Throws StartError if something is sealed under a key that is not there: a server without it would fail its callers. It costs a look
 * into an index per key, however many secrets there are.
 */
export async function checkSealed(db: Database, sealer: Sealer, columns: readonly SealedColumn[]): Promise<void> {
  for (const column of columns) {
    const ids = (await prefixesIn(db, column)).map(sealingKeyId);
    const missing = ids.filter((id) => !sealer.keyIds.includes(id));
    if (missing.length > 0)
      throw new StartError(
        `Secrets in ${column.table} are sealed under an encryption key that is not configured (its id is ${missing.join(", ")}): ` +
          "a key may go once muster sealing status counts no secrets under it",
      );
  }
}

/**
 * Seals anew, under the sealer's first key, what is sealed under its others, while servers run: in small transactions, each row only if it
 * is still the one that was read. What is sealed under a key that is not there stays. STORAGE_UNAVAILABLE.
 */
export async function reseal(db: Database, sealer: Sealer, columns: readonly SealedColumn[]): Promise<Resealed> {
  let [resealed, unopened] = [0, 0];
  for (const column of columns) {
    // A row that was changed while it was sealed anew is met again.
    for (let again = true; again; ) {
      const pass = await passOver(db, sealer, column);
      resealed += pass.resealed;
      again = pass.resealed > 0;
      if (!again) unopened += pass.unopened;
    }
  }
  return { resealed, unopened };
}

async function passOver(db: Database, sealer: Sealer, column: SealedColumn): Promise<Resealed> {
  const [current, ...others] = sealer.keyIds;
  let [resealed, unopened] = [0, 0];
  for (const prefix of await prefixesIn(db, column)) {
    if (sealingKeyId(prefix) === current || !others.includes(sealingKeyId(prefix))) continue;
    for (let last: Row | undefined, rows = BATCH; rows === BATCH; ) {
      const batch = await readBatch(db, column, prefix, last);
      const fresh = batch.flatMap((row) => resealRow(sealer, column, row));
      resealed += await writeBatch(db, column, fresh);
      unopened += batch.length - fresh.length;
      rows = batch.length;
      last = batch.at(-1);
    }
  }
  return { resealed, unopened };
}

interface Row extends Record<string, unknown> {
  readonly at: string;
  readonly sealed: Buffer;
}

type FreshRow = readonly [at: string, stale: Buffer, fresh: Buffer];

/** The keys that something is sealed under, by their prefixes: a step through the index for each. */
async function prefixesIn(db: Database, column: SealedColumn): Promise<Buffer[]> {
  const prefix = prefixOf(column);
  const first = (where: string) => `(select ${prefix} from ${column.table} where ${where} order by 1 limit 1)`;
  const text = `with recursive prefixes (prefix) as (
      select ${first(`${prefix} is not null`)}
      union all
      select ${first(`${prefix} > p.prefix`)} from prefixes p where p.prefix is not null
    )
    select prefix from prefixes where prefix is not null`;
  return (await query<{ prefix: Buffer }>(db.pool, { text }, [])).map((row) => row.prefix);
}

/** The next rows after `last` that are sealed under the key of `prefix`. */
function readBatch(db: Database, column: SealedColumn, prefix: Buffer, last: Row | undefined): Promise<Row[]> {
  const { table, key, others = [] } = column;
  const position = last ? key.map((name) => last[name]) : [];
  const after = `and (${key.join(", ")}) > (${position.map((_, index) => `$${index + 2}`).join(", ")})`;
  const text = `select ctid::text as at, ${column.column} as sealed, ${[...key, ...others].join(", ")} from ${table}
    where ${prefixOf(column)} = $1 ${last ? after : ""} order by ${key.join(", ")} limit ${BATCH}`;
  return query<Row>(db.pool, { text }, [prefix, ...position]);
}

function resealRow(sealer: Sealer, { contextOf }: SealedColumn, row: Row): FreshRow[] {
  const context: SealContext = contextOf(row as unknown as Record<string, string>);
  let secret: Buffer;
  try {
    secret = sealer.open(row.sealed, context);
  } catch {
    return [];
  }
  const fresh = sealer.seal(secret, context);
  secret.fill(0);
  return [[row.at, row.sealed, fresh]];
}

/** No two sealed secrets are alike, so a row that still holds the one that was read was not changed since. */
async function writeBatch(db: Database, { table, column }: SealedColumn, rows: readonly FreshRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const text = `update ${table} t set ${column} = n.fresh from unnest($1::tid[], $2::bytea[], $3::bytea[]) as n (at, stale, fresh)
    where t.ctid = n.at and t.${column} = n.stale returning 1`;
  const values = [0, 1, 2].map((index) => rows.map((row) => row[index]));
  return (await query(db.pool, { text }, values)).length;
}
