import { Migration } from "@mikro-orm/migrations";

export class ExternalKeys extends Migration {
  override up(): void {
    this.addSql(`
      create table external_keys (
        project_id uuid not null references projects (id) on delete cascade,
        id uuid not null,
        public_jwk jsonb,
        jwks_uri text,
        key_id text,
        algorithm text,
        create_time timestamptz not null,
        end_time timestamptz,
        primary key (project_id, id),
        constraint external_keys_kind check ((public_jwk is null) <> (jwks_uri is null)))`);
    this.addSql("create unique index external_keys_current on external_keys (project_id) where end_time is null");
    this.addSql("create index external_keys_end on external_keys (end_time)");
    // What was used is found by its digest alone: what a JWT calls itself may be long, and somebody's secret.
    this.addSql(`
      create table external_jwts (
        project_id uuid not null references projects (id) on delete cascade,
        jti_digest bytea not null,
        expire_time timestamptz not null,
        primary key (project_id, jti_digest))`);
    this.addSql("create index external_jwts_expire on external_jwts (expire_time)");
  }
}
