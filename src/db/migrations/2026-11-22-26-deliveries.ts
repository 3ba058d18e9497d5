import { Migration } from "@mikro-orm/migrations";

export class Deliveries extends Migration {
  override up(): void {
    // Whoever adds rows, claims them or says what came of them holds the lock of the webhook's row, so that what is true of them together stays
    // true: of the pending ones of a user, exactly one is `ready`, the one of the lowest position; of those without a user, each is.
    // `next_attempt_time` is when somebody may make the next attempt: the end of the wait, or of the claim of the process that is at it (`run_id`).
    this.addSql(`
      create table deliveries (
        project_id uuid not null,
        event_id uuid not null,
        webhook_id uuid not null,
        position bigint generated always as identity,
        event_type text collate "C" not null,
        user_id uuid,
        state text collate "C" not null,
        ready boolean not null,
        next_attempt_time timestamptz not null,
        run_id uuid,
        attempt_count integer not null default 0,
        first_attempt_time timestamptz,
        attempts jsonb not null default '[]',
        failure text,
        create_time timestamptz not null,
        complete_time timestamptz,
        primary key (project_id, event_id, webhook_id),
        constraint deliveries_webhook foreign key (project_id, webhook_id) references webhooks (project_id, id) on delete cascade)`);
    this.addSql("create index deliveries_by_state on deliveries (project_id, webhook_id, state, position)");
    this.addSql(`
      create index deliveries_ready on deliveries (project_id, webhook_id, next_attempt_time, position) where ready`);
    this.addSql(`
      create index deliveries_claimed on deliveries (project_id, webhook_id, next_attempt_time) where run_id is not null`);
    this.addSql(`
      create index deliveries_of_user on deliveries (project_id, webhook_id, user_id, position)
      where state = 'PENDING' and user_id is not null`);
    this.addSql("create index deliveries_complete on deliveries (complete_time) where complete_time is not null");
    // Until when nothing is sent to it, because it asked for that.
    this.addSql("alter table webhooks add column resume_time timestamptz");
  }
}
