import { randomBytes, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type SealPorts, sealAudit } from "../../src/audit/seal-audit.ts";
import { createSealKeys } from "../../src/audit/seal-keys.ts";
import type { Database } from "../../src/db/orm.ts";
import { createFakeClock, type FakeClock } from "../support/fake-clock.ts";

/** The least of a pool that runs statements. */
export interface Runs {
  query(text: string, values: unknown[]): Promise<unknown>;
}

/** A trail without servers: entries are written as statements write them, and sealed by hand. */
export interface Trail extends SealPorts {
  readonly db: Database;
  readonly clock: FakeClock;
  /** A project that nobody else writes to. */
  project(): string;
  /** Writes entries, each a second later; over a connection of its own where one is given. */
  write(projectId: string, count?: number, by?: Runs): Promise<void>;
  /** Seals all that is committed, once no other test's transaction holds it up: the horizon is that of the whole server. */
  seal(): Promise<void>;
}

async function settle(db: Database): Promise<void> {
  const { rows } = await db.pool.query("select pg_snapshot_xmax(pg_current_snapshot())::text as next");
  const text = "select pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 as settled";
  while (!(await db.pool.query(text, [rows[0].next])).rows[0].settled) await sleep(5);
}

export function auditTrail(db: Database, encryptionKeys: readonly Uint8Array[] = [randomBytes(32)]): Trail {
  const clock = createFakeClock(Date.parse("2026-03-01T00:00:00Z"));
  const ports = { db, clock, keys: createSealKeys(encryptionKeys) };
  return {
    ...ports,
    project: () => randomUUID(),
    async write(projectId, count = 1, by = db.pool) {
      await by.query(
        `insert into audit_entries (project_id, create_time, method, actor_kind, actor_id, address, request_id, origin, user_id, target, details)
         select $1, $2::timestamptz + n * interval '1 second', 'UserService/UpsertUser', 'system', 'key-1', '192.0.2.7', 'request-' || n, 'crm', $3,
           'token/1', '{"fields": ["name", "bio"], "created": true}' from generate_series(1, $4::integer) n`,
        [projectId, new Date(clock.now()), randomUUID(), count],
      );
    },
    async seal() {
      await settle(db);
      await sealAudit(ports, new AbortController().signal);
    },
  };
}
