import pg from "pg";
import { systemClock } from "../../src/clock.ts";
import { connectionOptions, type DatabaseAddress } from "../../src/db/orm.ts";
import { createIds } from "../../src/ids.ts";
import type { ImportedUser } from "../rows/import-users.ts";
import { answerParent, USAGE } from "./answer-parent.ts";

/** Where to write which rows. */
export interface ImportFloorOptions {
  readonly database: DatabaseAddress;
  readonly projectId: string;
  readonly users: readonly ImportedUser[];
}

const BATCH = 1_000;
const CONNECTIONS = 4;

/** The bare rows: into the same tables with all their indexes and triggers, as arrays, without events and without an answer. */
const INSERT = `
  with input as (
    select * from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
      as r (id, external_id, login, name, email, metadata, phc)
  ), passwords as (
    insert into passwords (project_id, user_id, phc, imported, update_time) select $1, id, phc, true, now() from input
  )
  insert into users (project_id, id, external_id, login, login_key, login_skeleton, name, name_key, email, email_key, metadata,
    create_time, update_time)
  select $1, id, external_id, login, login, login, name, lower(name), email, email, metadata::jsonb, now(), now() from input`;

/** Milliseconds to write the rows, 1,000 a statement, several statements at a time. */
async function write({ database, projectId, users }: ImportFloorOptions): Promise<number> {
  const pool = new pg.Pool({ ...connectionOptions(database), max: CONNECTIONS });
  const newId = createIds(systemClock);
  const rows = users.map(({ external_id: externalId, user, password_hash: phc }) => ({ externalId, ...user, phc }));
  let next = 0;
  const start = performance.now();
  const writer = async () => {
    while (next < rows.length) {
      const batch = rows.slice(next, (next += BATCH));
      const columns = [
        batch.map(() => newId()),
        batch.map((row) => row.externalId),
        batch.map((row) => row.login),
        batch.map((row) => row.name),
        batch.map((row) => row.email),
        batch.map((row) => JSON.stringify(row.metadata)),
        batch.map((row) => row.phc),
      ];
      await pool.query({ name: "import_floor", text: INSERT, values: [projectId, ...columns] });
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, writer));
  const milliseconds = performance.now() - start;
  await pool.end();
  return milliseconds;
}

answerParent({ ...USAGE, write });
