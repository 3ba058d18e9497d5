import type { Database } from "../../src/db/orm.ts";

/**
 * What of a project's locators contradicts itself: each user's list, its profile and the table of who holds what have to say the same.
 */
export async function unfaithfulLocators({ pool }: Database, projectId: string): Promise<unknown[]> {
  const { rows } = await pool.query(
    `
    with held as (
      select u.id as user_id, l ->> 'type' as type, l ->> 'key' as key, l ->> 'value' as value,
        (l -> 'primary')::boolean as primary, (l -> 'verified')::boolean as verified
      from users u, jsonb_array_elements(u.locators) l where u.project_id = $1
    ), profile as (
      select id as user_id, 'email' as type, email_key as key, email as value, true as primary, email_verified as verified
      from users where project_id = $1 and email_key is not null
      union all
      select id, 'phone', phone, phone, true, phone_verified from users where project_id = $1 and phone is not null
    ), claimed as (select user_id, type, key from locators where project_id = $1)
    select 'not claimed' as what, q.* from (select user_id, type, key from held except select * from claimed) q
    union all
    select 'not held', q.* from (select * from claimed except select user_id, type, key from held) q
    union all
    select 'not in the profile', user_id, type, key from (select * from held where "primary" except select * from profile) q
    union all
    select 'in the profile alone', user_id, type, key from (select * from profile except select * from held where "primary") q`,
    [projectId],
  );
  return rows;
}
