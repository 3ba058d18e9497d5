import { Migration } from "@mikro-orm/migrations";

export class LocatorCodes extends Migration {
  override up(): void {
    // One row per address, whoever holds it: how often it was written to outlives its owner's hold of it.
    this.addSql(`
      create table locator_codes (
        project_id uuid not null,
        type text collate "C" not null,
        key text collate "C" not null,
        user_id uuid not null,
        sealed_digest bytea,
        expire_time timestamptz not null,
        tries integer not null default 0,
        sends integer not null,
        window_start timestamptz not null,
        send_time timestamptz not null,
        primary key (project_id, type, key),
        constraint locator_codes_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)`);
    this.addSql("create index locator_codes_of_user on locator_codes (project_id, user_id)");
  }
}
