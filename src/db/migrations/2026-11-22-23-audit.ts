import { Migration } from "@mikro-orm/migrations";

export class Audit extends Migration {
  override up(): void {
    // Without a foreign key: what was done to a project is known after it is gone.
    this.addSql(`
      create table audit_entries (
        project_id uuid not null,
        transaction_id xid8 not null default pg_current_xact_id(),
        sequence bigint generated always as identity,
        create_time timestamptz not null,
        method text not null,
        actor_kind text not null,
        actor_id text,
        address text,
        request_id text,
        origin text,
        user_id uuid,
        target text,
        details jsonb,
        primary key (project_id, transaction_id, sequence))`);
    this.addSql(`
      create index audit_entries_of_user on audit_entries (project_id, user_id, transaction_id, sequence) where user_id is not null`);
  }
}
