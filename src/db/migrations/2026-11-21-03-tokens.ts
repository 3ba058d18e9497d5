import { Migration } from "@mikro-orm/migrations";

export class Tokens extends Migration {
  override up(): void {
    this.addSql(`
      create table signing_keys (
        project_id uuid not null references projects (id) on delete cascade,
        id uuid not null,
        algorithm text not null,
        state text not null,
        public_jwk jsonb not null,
        sealed_private_key bytea not null,
        create_time timestamptz not null,
        primary key (project_id, id))`);
    this.addSql(`
      create table tokens (
        project_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        issue_time timestamptz not null,
        expire_time timestamptz not null,
        revoke_time timestamptz,
        primary key (project_id, id),
        constraint tokens_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)`);
    this.addSql("create index tokens_user on tokens (project_id, user_id)");
  }
}
