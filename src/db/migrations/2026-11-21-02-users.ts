import { Migration } from "@mikro-orm/migrations";

export class Users extends Migration {
  override up(): void {
    // Identifiers compare byte by byte (collation C), so that no locale folds two of them into one.
    this.addSql(`
      create table users (
        project_id uuid not null references projects (id) on delete cascade,
        id uuid not null,
        external_id text collate "C" not null,
        login text,
        login_key text collate "C",
        name text,
        email text,
        email_key text collate "C",
        email_verified boolean not null default false,
        phone text collate "C",
        phone_verified boolean not null default false,
        avatar_url text,
        bio text,
        website text,
        birthdate date,
        time_zone text,
        latitude double precision,
        longitude double precision,
        metadata jsonb,
        private_metadata jsonb,
        tags text[] not null default '{}',
        reputation bigint not null default 0,
        guest boolean not null default false,
        create_time timestamptz not null,
        update_time timestamptz not null,
        last_active_time timestamptz,
        version integer not null default 1,
        primary key (project_id, id)) with (fillfactor = 90)`);
    this.addSql("create unique index users_external_id on users (project_id, external_id)");
    this.addSql("create unique index users_login on users (project_id, login_key)");
    this.addSql("create unique index users_email on users (project_id, email_key)");
    this.addSql("create unique index users_phone on users (project_id, phone)");
    this.addSql(`
      create table deleted_users (
        project_id uuid not null references projects (id) on delete cascade,
        id uuid not null,
        delete_time timestamptz not null,
        primary key (project_id, id))`);
  }
}
