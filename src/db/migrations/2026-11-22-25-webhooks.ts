import { Migration } from "@mikro-orm/migrations";

export class Webhooks extends Migration {
  override up(): void {
    this.addSql(`
      create table webhooks (
        project_id uuid not null references projects (id) on delete cascade,
        id uuid not null,
        url text not null,
        description text not null,
        event_types text[] not null,
        payload text not null,
        max_concurrency int not null,
        sealed_secrets bytea not null,
        previous_secret_until timestamptz,
        disabled boolean not null,
        disabled_cause text,
        disabled_time timestamptz,
        failing_since timestamptz,
        since pg_snapshot not null default pg_current_snapshot(),
        cursor_transaction_id xid8 not null default pg_snapshot_xmin(pg_current_snapshot()),
        cursor_sequence bigint not null default 0,
        create_time timestamptz not null,
        update_time timestamptz not null,
        version int not null default 1,
        primary key (project_id, id))`);
    this.addSql("create index webhooks_sealing on webhooks (substring(sealed_secrets from 1 for 5), project_id, id)");
  }
}
