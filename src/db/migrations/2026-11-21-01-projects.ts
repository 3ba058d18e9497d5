import { Migration } from "@mikro-orm/migrations";

export class Projects extends Migration {
  override up(): void {
    this.addSql(`
      create table projects (
        id uuid primary key,
        display_name text not null,
        settings jsonb not null default '{}',
        create_time timestamptz not null,
        update_time timestamptz not null)`);
    this.addSql(`
      create table access_keys (
        project_id uuid not null references projects (id) on delete cascade,
        id uuid not null,
        display_name text not null,
        secret_digest bytea not null,
        create_time timestamptz not null,
        revoke_time timestamptz,
        primary key (project_id, id))`);
    // A credential names its key and not its project.
    this.addSql("create unique index access_keys_id on access_keys (id)");
  }
}
