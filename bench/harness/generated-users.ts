import type { Pool } from "pg";

/** A number from 0 to below `of` that follows from a user's, and has nothing to do with one of another salt. */
const drawn = (salt: number, of: number) => `(hashint8extended(n, ${salt}) & 16777215) % ${of}`;

/** How a generated user's columns follow from its number `n`. Values recur as they do in life: few countries, many names, rare tags. */
const COLUMNS: Readonly<Record<string, string>> = {
  // UUIDs of version 7 whose times rise with the number.
  id: `(lpad(to_hex(1700000000000 + n * 1000), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || right(md5(n::text), 15))::uuid`,
  external_id: "'user-' || n",
  login: `case when ${drawn(1, 2)} = 0 then 'login' || n end`,
  login_key: `case when ${drawn(1, 2)} = 0 then 'login' || n end`,
  name: `case when ${drawn(2, 10)} <> 0 then initcap(substr(md5((n % 50000)::text), 1, 6)) || ' ' || n % 97 end`,
  name_key: `case when ${drawn(2, 10)} <> 0 then substr(md5((n % 50000)::text), 1, 6) || ' ' || n % 97 end`,
  email: `case when ${drawn(3, 4)} <> 0 then 'user.' || n || '@example.com' end`,
  email_key: `case when ${drawn(3, 4)} <> 0 then 'user.' || n || '@example.com' end`,
  phone: `case when ${drawn(4, 3)} = 0 then '+49' || 1700000000 + n end`,
  metadata: `'{"plan": "free", "seats": 5}'::jsonb`,
  tags: `case ${drawn(5, 5)} when 0 then '{}' else array['all'] || case when ${drawn(6, 7)} = 0 then array['some'] else '{}' end
    || case when ${drawn(7, 10_000)} = 0 then array['rare'] else '{}' end end::text[]`,
  guest: `${drawn(8, 20)} = 0`,
  create_time: "to_timestamp(1700000000 + n)",
  update_time: "to_timestamp(1700000000 + n + (hashint8(n) & 65535))",
  last_active_time: `case when ${drawn(9, 3)} <> 0 then to_timestamp(1750000000 + (hashint8(n) & 1048575)) end`,
};

const ATTRIBUTE = `
  insert into attribute_definitions
    (project_id, key, content_types, can_be_empty, readers, writers, filterable, create_time, update_time)
  values ($1, 'color', '{text/plain}', false, '{SYSTEM,USER}', '{SYSTEM}', true, now(), now())`;

/** Of six users four have a color, three of them red. Only what lists look at is made. */
const ATTRIBUTE_INDEX = `
  insert into user_attribute_index (project_id, user_id, key, value, create_time)
  select project_id, id, 'color',
    case when ${drawn(10, 10_000)} = 0 then 'rare' when ${drawn(11, 4)} <> 0 then 'red' when ${drawn(12, 2)} = 0 then 'green' else 'blue' end,
    create_time
  from users, lateral (select split_part(external_id, '-', 2)::bigint as n) as number
  where project_id = $1 and ${drawn(13, 3)} <> 0`;

/** Guests of a roll are older than guests may be: the job that deletes such is put off. One that runs already ends before. */
const KEEP_GUESTS = `
  insert into jobs (name, due_time, start_time) values ('guests', now() + interval '1 year', now())
  on conflict (name) do update set due_time = excluded.due_time, run_id = null`;

/** Fills a project with `count` users, past every rule and without events, and has Postgres look at them. */
export async function generateUsers(pool: Pool, projectId: string, count: number): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("set statement_timeout = 0");
    const [names, values] = [Object.keys(COLUMNS).join(), Object.values(COLUMNS).join()];
    const source = `select $1::uuid, ${values} from generate_series(1, $2::bigint) n`;
    await client.query(KEEP_GUESTS);
    await client.query("begin");
    // What triggers keep beside a user is no part of a list, and takes them longer than all the rest.
    await client.query("alter table users disable trigger user");
    await client.query(`insert into users (project_id, ${names}) ${source}`, [projectId, count]);
    await client.query("alter table users enable trigger user");
    await client.query("commit");
    await client.query(ATTRIBUTE, [projectId]);
    await client.query(ATTRIBUTE_INDEX, [projectId]);
    await client.query("vacuum analyze users, user_attribute_index");
  } finally {
    // The connection is not one like the others any more.
    client.release(true);
  }
}
