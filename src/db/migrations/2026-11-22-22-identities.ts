import { Migration } from "@mikro-orm/migrations";

export class Identities extends Migration {
  override up(): void {
    this.addSql(`
      create table identities (
        project_id uuid not null,
        provider_id text collate "C" not null,
        subject text collate "C" not null,
        user_id uuid not null,
        email text,
        email_verified boolean not null default false,
        create_time timestamptz not null,
        last_sign_in_time timestamptz,
        primary key (project_id, provider_id, subject),
        constraint identities_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade,
        constraint identities_provider foreign key (project_id, provider_id)
          references providers (project_id, id) on delete cascade)`);
    this.addSql(
      "create index identities_of_user on identities (project_id, user_id, create_time, provider_id, subject)",
    );
  }
}
