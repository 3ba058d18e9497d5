import type { Database } from "../../src/db/orm.ts";

/** THE list of tables that are no part of what a project's history tells of, with the reason. */
const NO_HISTORY: Readonly<Record<string, string>> = {
  audit_entries: "the history itself",
  events: "what others are told of a change, in its transaction",
  revocations: "what servers and verifiers are told of a change, in its transaction",
  attempts: "counters of attempts",
  external_jwts: "digests of what was used once",
  presences: "what is, and is over by itself",
  event_removals: "up to where events are gone by their age",
  audit_seals: "seals of the history",
  avatar_removals: "objects in a bucket that nobody is shown any more, or not yet",
  jobs: "when which job runs",
  migrations: "which migrations ran",
};

/** Columns that say how far something has come by itself. */
const PROGRESS: Readonly<Record<string, readonly string[]>> = {
  users: ["last_active_time"],
  sessions: ["last_active_time", "expire_time"],
  signing_keys: ["last_expire_time"],
  identities: ["email", "email_verified", "last_sign_in_time"],
  locator_codes: ["attempts"],
  webhooks: ["since", "cursor_transaction_id", "cursor_sequence", "failing_since", "resume_time"],
  deliveries: [
    ...["state", "ready", "next_attempt_time", "run_id", "attempt_count", "first_attempt_time", "attempts"],
    ...["failure", "complete_time"],
  ],
};

/** A row that was made, changed or deleted. */
export interface RecordedChange {
  readonly table: string;
  readonly transactionId: string;
}

/**
 * Has a database of a test note each change of a row that history is kept of, with its transaction. What is done by a call whose request id
 * begins with `REFUSED` leaves no audit entry: the database refuses it.
 */
export async function recordChanges({ pool }: Pick<Database, "pool">) {
  await pool.query(`
    create table noted_changes (number bigint generated always as identity, table_name text not null, transaction_id xid8 not null default pg_current_xact_id());
    create function note_change() returns trigger language plpgsql as $$ begin
      if tg_op <> 'UPDATE' or to_jsonb(new) - tg_argv[0]::text[] is distinct from to_jsonb(old) - tg_argv[0]::text[] then
        insert into noted_changes (table_name) values (tg_table_name);
      end if;
      return null;
    end $$;
    create function refuse_entry() returns trigger language plpgsql as $$ begin
      raise exception 'the entry is refused';
    end $$;
    create trigger refuse_entry before insert on audit_entries for each row
      when (new.request_id like '${REFUSED}%') execute function refuse_entry()`);
  const { rows } = await pool.query<{ table_name: string }>(
    "select table_name from information_schema.tables where table_schema = 'public' and table_name <> 'noted_changes'",
  );
  for (const { table_name: table } of rows.filter((row) => !(row.table_name in NO_HISTORY)))
    await pool.query(`create trigger zz_note_change after insert or update or delete on ${table}
      for each row execute function note_change('{${(PROGRESS[table] ?? []).join()}}')`);
  return {
    /** Gives, each time it is called, what was changed since the last time. */
    async take(): Promise<RecordedChange[]> {
      const taken = await pool.query<RecordedChange>(
        `with taken as (delete from noted_changes returning *)
         select table_name as "table", transaction_id::text as "transactionId" from taken order by number`,
      );
      return taken.rows;
    },
  };
}

/** What the request ids of calls begin with whose entries are refused. */
export const REFUSED = "refused-";
