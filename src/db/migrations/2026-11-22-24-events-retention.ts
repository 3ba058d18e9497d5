import { Migration } from "@mikro-orm/migrations";

export class EventsRetention extends Migration {
  override up(): void {
    // An event's place is never before that of one which was committed when it was written: whoever waited for a lock comes after whoever had it,
    // though its transaction may have the lower id. A volatile function sees what was committed after its statement began. A place is
    // that of its own transaction or of one that has ended, so that events are settled no later for it.
    this.addSql(`
      create function event_place() returns xid8 language plpgsql volatile as $$
      begin
        return greatest(pg_current_xact_id(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text::xid8);
      end $$`);
    // Null in rows from before: their transaction is their place.
    this.addSql("alter table events add column written_in xid8");
    this.addSql(`
      alter table events alter column written_in set default pg_current_xact_id(),
        alter column transaction_id set default event_place()`);
    // The last event of a project that was removed by its age. Whoever has read so far has lost nothing.
    this.addSql(`
      create table event_removals (
        project_id uuid not null primary key references projects (id) on delete cascade,
        transaction_id xid8 not null,
        sequence bigint not null,
        event_id uuid not null)`);
  }
}
