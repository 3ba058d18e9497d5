import { Migration } from "@mikro-orm/migrations";

export class Passwords extends Migration {
  override up(): void {
    // `id` is another one for each password that is set; `imported`: the hash is another system's.
    this.addSql(`
      create table passwords (
        project_id uuid not null,
        user_id uuid not null,
        id uuid not null default gen_random_uuid(),
        phc text collate "C" not null,
        imported boolean not null default false,
        update_time timestamptz not null,
        primary key (project_id, user_id),
        constraint passwords_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)`);
  }
}
