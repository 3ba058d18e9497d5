import { Migration } from "@mikro-orm/migrations";

export class Avatars extends Migration {
  override up(): void {
    // The images stand in the row (Postgres store), or in objects that carry its `object_id` in their names (S3 store): the check
    // says that it is one or the other. WebP does not compress further, so that Postgres need not try.
    this.addSql(`
      create table avatars (
        project_id uuid not null,
        user_id uuid not null,
        hash text collate "C" not null,
        object_id uuid,
        image_64 bytea,
        image_256 bytea,
        image_512 bytea,
        create_time timestamptz not null,
        primary key (project_id, user_id),
        constraint avatars_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade,
        constraint avatars_images check (
          num_nonnulls(image_64, image_256, image_512) = case when object_id is null then 3 else 0 end))`);
    this.addSql("create unique index avatars_hash on avatars (project_id, hash)");
    for (const size of ["64", "256", "512"])
      this.addSql(`alter table avatars alter column image_${size} set storage external`);

    // Objects that no avatar names, to be removed from the bucket. It names no project as a foreign key: what a project leaves
    // there is removed after it is gone.
    this.addSql(`
      create table avatar_removals (
        project_id uuid not null,
        object_id uuid not null,
        due_time timestamptz not null,
        attempts integer not null default 0,
        primary key (project_id, object_id))`);
    this.addSql("create index avatar_removals_due on avatar_removals (due_time)");

    // Triggers, because rows also go by cascades, which no statement of ours sees: whatever takes an avatar away, in whichever
    // transaction, has its objects removed.
    this.addSql(`
      create function remove_avatar_objects() returns trigger language plpgsql as $$
      begin
        insert into avatar_removals (project_id, object_id, due_time) values (old.project_id, old.object_id, '-infinity')
        on conflict do nothing;
        return null;
      end $$`);
    this.addSql(`
      create trigger avatars_deleted after delete on avatars for each row when (old.object_id is not null)
      execute function remove_avatar_objects()`);
    this.addSql(`
      create trigger avatars_replaced after update on avatars for each row
      when (old.object_id is not null and old.object_id is distinct from new.object_id)
      execute function remove_avatar_objects()`);
    this.addSql(`
      create function remove_unnamed_avatar() returns trigger language plpgsql as $$
      begin
        delete from avatars where project_id = new.project_id and user_id = new.id
          and strpos(coalesce(new.avatar_url, ''), hash) = 0;
        return null;
      end $$`);
    this.addSql(`
      create trigger users_avatar_url_changed after update of avatar_url on users for each row
      when (old.avatar_url is distinct from new.avatar_url) execute function remove_unnamed_avatar()`);
  }
}
