import { Migration } from "@mikro-orm/migrations";

export class PasswordResets extends Migration {
  override up(): void {
    this.addSql(`
      create table password_resets (
        project_id uuid not null,
        token_digest bytea not null,
        user_id uuid not null,
        email_key text collate "C" not null,
        create_time timestamptz not null,
        expire_time timestamptz not null,
        primary key (project_id, token_digest),
        constraint password_resets_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)`);
    this.addSql(
      "create index password_resets_of_user on password_resets (project_id, user_id, create_time, token_digest)",
    );
    this.addSql("create index password_resets_expire on password_resets (expire_time)");
  }
}
