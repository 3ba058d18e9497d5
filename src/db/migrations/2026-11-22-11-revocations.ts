import { Migration } from "@mikro-orm/migrations";

export class Revocations extends Migration {
  override up(): void {
    this.addSql("alter table users add column tokens_valid_from timestamptz");
    // No foreign key: what ended outlives the user, and even the project, whose streams have yet to hear of it. The columns of subjects
    // name one thing each; none set: all that the project let in.
    this.addSql(`
      create table revocations (
        project_id uuid not null,
        transaction_id xid8 not null default pg_current_xact_id(),
        sequence bigint generated always as identity,
        token_id uuid,
        session_id uuid,
        user_id uuid,
        before_time timestamptz,
        key_id uuid,
        access_key_id uuid,
        cause text not null,
        forget_after_time timestamptz not null,
        create_time timestamptz not null,
        primary key (project_id, transaction_id, sequence),
        constraint revocations_subject check (
          num_nonnulls(token_id, session_id, user_id, key_id, access_key_id) <= 1 and num_nonnulls(user_id, before_time) <> 1))`);
    // Every server reads those of all projects.
    this.addSql("create index revocations_order on revocations (transaction_id, sequence)");
    this.addSql("create index revocations_forget on revocations (forget_after_time)");
    this.addSql(`
      create table pending_suspensions (
        project_id uuid not null,
        id uuid not null,
        user_id uuid not null,
        start_time timestamptz not null,
        end_time timestamptz,
        primary key (project_id, id),
        constraint pending_suspensions_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)`);
    this.addSql("create index pending_suspensions_of_user on pending_suspensions (project_id, user_id)");
    this.addSql("create index pending_suspensions_start on pending_suspensions (start_time)");
    // What a token says beyond its row, so that it can be signed again with another end; null: nothing.
    this.addSql("alter table tokens add column sealed_content bytea");
    this.addSql(
      `create index tokens_sealing on tokens (substring(sealed_content from 1 for 5), project_id, id)
       where substring(sealed_content from 1 for 5) is not null`,
    );
    this.addSql("create index tokens_of_user on tokens (project_id, user_id, id)");
    this.addSql("drop index tokens_user");
    // Those that block a sign-in later and were given before there was a table for them.
    this.addSql(`
      insert into pending_suspensions (project_id, id, user_id, start_time, end_time)
      select u.project_id, (s ->> 'id')::uuid, u.id, (s ->> 'start_time')::timestamptz, (s ->> 'end_time')::timestamptz
      from users u, jsonb_array_elements(u.suspensions) s
      where u.suspensions <> '[]' and (s ->> 'blocks_sign_in')::boolean`);
  }
}
