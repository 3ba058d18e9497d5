import { Migration } from "@mikro-orm/migrations";

export class Sessions extends Migration {
  override up(): void {
    // What each request may change stands in no index, so that its update finds room beside the row.
    this.addSql(`
      create table sessions (
        project_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        create_time timestamptz not null,
        user_agent text not null,
        address text not null,
        sealed_seed bytea not null,
        token_digest bytea not null,
        generation integer not null default 0,
        last_active_time timestamptz not null,
        expire_time timestamptz not null,
        end_time timestamptz not null,
        guest_end_time timestamptz not null,
        refresh_counter bigint not null default 0,
        refresh_rotate_time timestamptz,
        refresh_expire_time timestamptz not null,
        refresh_end_time timestamptz not null,
        forget_time timestamptz not null generated always as (greatest(end_time, refresh_expire_time)) stored,
        primary key (project_id, id),
        constraint sessions_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)
      with (fillfactor = 80)`);
    // A credential names neither its project nor its session.
    this.addSql("create unique index sessions_token_digest on sessions (token_digest)");
    this.addSql("create index sessions_forget on sessions (forget_time)");
    this.addSql("create index sessions_of_user on sessions (project_id, user_id, create_time, id)");
  }
}
