import { Migration } from "@mikro-orm/migrations";

export class Attributes extends Migration {
  override up(): void {
    this.addSql(`
      create table attribute_definitions (
        project_id uuid not null references projects (id) on delete cascade,
        key text collate "C" not null,
        content_types text[] not null,
        can_be_empty boolean not null,
        readers text[] not null,
        writers text[] not null,
        filterable boolean not null,
        create_time timestamptz not null,
        update_time timestamptz not null,
        delete_time timestamptz,
        primary key (project_id, key))`);
    this.addSql("alter table users add column attributes jsonb not null default '{}'");
    // By what filterable attributes are found: the first 256 characters of a text, null for a value that is none. A filter takes at
    // most 255, so that what it compares is never cut off. The user's create_time stands here so that the index gives the order too.
    this.addSql(`
      create table user_attribute_index (
        project_id uuid not null,
        user_id uuid not null,
        key text collate "C" not null,
        value text collate "C",
        create_time timestamptz not null,
        primary key (project_id, user_id, key),
        constraint user_attribute_index_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)`);
    this.addSql(`
      create index user_attribute_index_value on user_attribute_index (project_id, key, value, create_time, user_id)`);
    // Every statement that writes attributes passes here, so that none can leave a value without a definition or the index behind.
    // The definitions are locked against a change of what is indexed and against deletion until the writer commits.
    this.addSql(`
      create function keep_user_attributes() returns trigger language plpgsql as $$
      declare
        changed text[] := array(
          select n.key from jsonb_each(new.attributes) n where old.attributes -> n.key is distinct from n.value);
        gone text[] := array(select jsonb_object_keys(old.attributes) except select jsonb_object_keys(new.attributes));
        defined text[];
        indexed text[];
      begin
        if octet_length(new.attributes::text) > 65536 then
          raise exception using errcode = '23514', constraint = 'users_attributes_size', detail = 'attributes';
        end if;
        with locked as (
          select d.key, d.filterable from attribute_definitions d
          where d.project_id = new.project_id and d.key = any(changed) and d.delete_time is null
          order by d.key for key share)
        select array_agg(key), array_agg(key) filter (where filterable) into defined, indexed from locked;
        if cardinality(changed) > coalesce(cardinality(defined), 0) then
          raise exception using errcode = '23514', constraint = 'users_attributes_defined', detail = format(
            'attributes["%s"]', (select min(key) from unnest(changed) key where key <> all(coalesce(defined, '{}'))));
        end if;
        if cardinality(gone) > 0 then
          delete from user_attribute_index i
          where i.project_id = new.project_id and i.user_id = new.id and i.key = any(gone);
        end if;
        if cardinality(indexed) > 0 then
          insert into user_attribute_index (project_id, user_id, key, value, create_time)
          select new.project_id, new.id, k.key, left(new.attributes -> k.key ->> 'text', 256), new.create_time
          from unnest(indexed) as k (key)
          on conflict (project_id, user_id, key) do update set value = excluded.value;
        end if;
        return null;
      end $$`);
    this.addSql(`
      create trigger users_attributes_inserted after insert on users
      for each row when (new.attributes <> '{}') execute function keep_user_attributes()`);
    this.addSql(`
      create trigger users_attributes_updated after update of attributes on users
      for each row when (new.attributes is distinct from old.attributes) execute function keep_user_attributes()`);
  }
}
