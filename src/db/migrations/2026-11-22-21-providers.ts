import { Migration } from "@mikro-orm/migrations";

export class Providers extends Migration {
  override up(): void {
    this.addSql(`
      create table providers (
        project_id uuid not null references projects (id) on delete cascade,
        id text collate "C" not null,
        kind text not null,
        config jsonb not null,
        sealed_headers bytea,
        display_name text not null,
        disabled boolean not null,
        create_time timestamptz not null,
        update_time timestamptz not null,
        primary key (project_id, id))`);
    this.addSql("create index providers_sealing on providers (substring(sealed_headers from 1 for 5), project_id, id)");
  }
}
