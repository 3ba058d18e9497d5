import { Migration } from "@mikro-orm/migrations";

export class AuditSeals extends Migration {
  override up(): void {
    // The place of a transaction in the order of entries, and the way back. They are the same number until the rows are restored into a
    // database whose transaction ids begin anew: both are then replaced, so that what is new stands behind what is restored.
    this.addSql("create function audit_place(id xid8) returns xid8 immutable language sql return id");
    this.addSql("create function audit_transaction(place xid8) returns xid8 immutable language sql return place");
    this.addSql("alter table audit_entries alter column transaction_id set default audit_place(pg_current_xact_id())");
    // Without a foreign key, as the entries.
    this.addSql(`
      create table audit_seals (
        project_id uuid not null,
        number bigint not null,
        transaction_id xid8 not null,
        sequence bigint not null,
        entries integer not null,
        first_time timestamptz not null,
        last_time timestamptz not null,
        digest bytea not null,
        chain bytea not null,
        key_id text not null,
        seal_time timestamptz not null,
        pruned_entries bigint,
        prune_time timestamptz,
        prune_key_id text,
        prune_mac bytea,
        primary key (project_id, number))`);
  }
}
