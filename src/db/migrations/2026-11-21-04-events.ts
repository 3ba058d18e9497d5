import { Migration } from "@mikro-orm/migrations";

export class Events extends Migration {
  override up(): void {
    // (transaction_id, sequence) is the order of reading. A sequence alone skips rows that commit late, so readers stop at the
    // settled horizon: transaction_id < pg_snapshot_xmin(pg_current_snapshot()).
    this.addSql(`
      create table events (
        project_id uuid not null,
        transaction_id xid8 not null default pg_current_xact_id(),
        sequence bigint generated always as identity,
        id uuid not null,
        type text not null,
        user_id uuid,
        data jsonb not null,
        origin text,
        create_time timestamptz not null,
        primary key (project_id, transaction_id, sequence))`);
    this.addSql("create unique index events_id on events (project_id, id)");
  }
}
