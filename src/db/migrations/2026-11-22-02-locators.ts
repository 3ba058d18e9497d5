import { Migration } from "@mikro-orm/migrations";

/**
 * What a user holds stands in `users.locators`, in the order it was added: {type, key, value, verified, primary}. It changes under
 * the lock of the user's row. The table `locators` says who holds an address, one user each. The profile's columns for email and
 * phone are those of the primary locators. The database keeps the three in step, so that whoever writes a user, a server of
 * the release before too, does so in one statement that is exact under races: a trigger sees what has been committed by then, other
 * parts of the statement do not.
 */
export class Locators extends Migration {
  override up(): void {
    this.addSql("alter table users add column locators jsonb not null default '[]'");
    this.addSql(`
      create table locators (
        project_id uuid not null,
        user_id uuid not null,
        type text collate "C" not null,
        key text collate "C" not null,
        primary key (project_id, user_id, type, key),
        constraint locators_user foreign key (project_id, user_id) references users (project_id, id) on delete cascade)`);
    this.addSql("create unique index locators_email on locators (project_id, key) where type = 'email'");
    this.addSql("create unique index locators_phone on locators (project_id, key) where type = 'phone'");
    this.addSql(WITH_PRIMARY);
    this.addSql(HOLD);
    this.addSql(CLAIM);
    for (const trigger of TRIGGERS) this.addSql(trigger);
    this.addSql(`
      update users set locators = locators_with_primary(
        locators_with_primary('[]', 'email', email_key, email, email_verified), 'phone', phone, phone, phone_verified)
      where email_key is not null or phone is not null`);
  }
}

/**
 * What is held once an address is the primary one of its type (null: none is). One that is new replaces the primary one; one that is
 * held already becomes primary beside it and, where `new_verified` is null, stays as verified as it is.
 */
const WITH_PRIMARY = `
  create function locators_with_primary(held jsonb, of_type text, new_key text, new_value text, new_verified boolean)
  returns jsonb immutable language plpgsql as $$
  declare
    is_held boolean;
    kept jsonb := held;
  begin
    -- The way of most users: a search of nothing is not paid for.
    if held <> '[]' then
      is_held := exists (
        select from jsonb_array_elements(held) l where l ->> 'type' = of_type and l ->> 'key' = new_key);
      select coalesce(jsonb_agg(case
          when l ->> 'type' <> of_type then l
          when l ->> 'key' = new_key then l || jsonb_build_object('value', new_value, 'primary', true,
            'verified', coalesce(new_verified, (l -> 'verified')::boolean))
          else l || '{"primary": false}' end order by position), '[]')
      into kept
      from jsonb_array_elements(held) with ordinality as h (l, position)
      where is_held or l ->> 'type' <> of_type or not (l -> 'primary')::boolean;
    end if;
    if new_key is null or is_held then
      return kept;
    end if;
    return kept || jsonb_build_object('type', of_type, 'key', new_key, 'value', new_value, 'primary', true,
      'verified', coalesce(new_verified, false));
  end $$`;

/** Before a user is written: what it holds follows its email and phone, and a `…_verified` that is null follows what it holds. */
const HOLD = `
  create function users_hold_locators() returns trigger language plpgsql as $$
  begin
    new.locators := locators_with_primary(new.locators, 'email', new.email_key, new.email, new.email_verified);
    new.locators := locators_with_primary(new.locators, 'phone', new.phone, new.phone, new.phone_verified);
    new.email_verified := coalesce(new.email_verified, jsonb_path_exists(new.locators,
      '$[*] ? (@.type == "email" && @.primary == true && @.verified == true)'));
    new.phone_verified := coalesce(new.phone_verified, jsonb_path_exists(new.locators,
      '$[*] ? (@.type == "phone" && @.primary == true && @.verified == true)'));
    return new;
  end $$`;

/** After a user was written: lets go of what it no longer holds and claims what is new. */
const CLAIM = `
  create function users_claim_locators() returns trigger language plpgsql as $$
  begin
    if jsonb_array_length(new.locators) > 20 then
      raise exception 'too many locators' using errcode = 'check_violation', constraint = 'users_locators', detail = 'locators';
    end if;
    if tg_op = 'UPDATE' then
      delete from locators l
      using jsonb_to_recordset(old.locators) as before (type text, key text)
      where l.project_id = new.project_id and l.user_id = new.id and l.type = before.type and l.key = before.key
        and not exists (select from jsonb_to_recordset(new.locators) as held (type text, key text)
          where held.type = l.type and held.key = l.key);
      insert into locators (project_id, user_id, type, key)
      select new.project_id, new.id, type, key from jsonb_to_recordset(new.locators) as held (type text, key text)
      except
      select new.project_id, new.id, type, key from jsonb_to_recordset(old.locators) as before (type text, key text);
    else
      insert into locators (project_id, user_id, type, key)
      select new.project_id, new.id, type, key from jsonb_to_recordset(new.locators) as held (type text, key text);
    end if;
    return null;
  end $$`;

const CONTACTS = ["email", "email_key", "email_verified", "phone", "phone_verified"];
const contactsOf = (row: string) => `(${CONTACTS.map((column) => `${row}.${column}`).join(", ")})`;

const TRIGGERS = [
  `create trigger users_hold_at_insert before insert on users for each row
    when (new.email_key is not null or new.phone is not null) execute function users_hold_locators()`,
  `create trigger users_hold_at_update before update on users for each row
    when (${contactsOf("old")} is distinct from ${contactsOf("new")}) execute function users_hold_locators()`,
  `create trigger users_claim_at_insert after insert on users for each row
    when (new.locators <> '[]') execute function users_claim_locators()`,
  `create trigger users_claim_at_update after update on users for each row
    when (old.locators is distinct from new.locators) execute function users_claim_locators()`,
];
