import { Migration } from "@mikro-orm/migrations";

export class Presence extends Migration {
  override up(): void {
    // One row per user, rewritten in place: no index but the key and room on each page keep the rewrites inside it (HOT).
    // Times are microseconds of this server's clock. `since` is when the first step came into force: a refresh that changes
    // nothing but the deadline moves `set_at` and leaves `since`. `first_ttl` is the first step's span, null: without end.
    // `chain` is compared byte by byte and never looked into, hence text.
    this.addSql(`
      create table presences (
        project_id uuid not null,
        user_id uuid not null,
        rev bigint not null,
        set_at bigint not null,
        since bigint not null,
        first_ttl bigint,
        chain text collate "C" not null,
        primary key (project_id, user_id),
        constraint presences_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)
      with (fillfactor = 70)`);
  }
}
