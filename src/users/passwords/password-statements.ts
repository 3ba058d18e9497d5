import type { NamedStatement, Statement } from "../../db/statement.ts";
import { blockedSql } from "../suspension.ts";
import type { UserKey } from "../user-key.ts";
import { byKey, has } from "../user-statements.ts";

/** What is known of whoever a key names. */
export interface PasswordRow {
  readonly userId: string;
  /** Null: the user has no password. */
  readonly passwordId: string | null;
  readonly phc: string | null;
  readonly imported: boolean | null;
  /** Whether a suspension keeps the user from being signed in. */
  readonly blocked: boolean;
}

/** The password of a user: $1 project, $2 identifier, $3 time. */
export const FIND_PASSWORD: Record<UserKey["by"], NamedStatement> = byKey((by) => ({
  name: `passwords_find_by_${by}`,
  text: `
    select u.id as "userId", p.id as "passwordId", p.phc, p.imported, ${blockedSql("u", "$3::timestamptz")} as blocked
    from (select id, suspensions from users where ${has(by, "$2")}) u
    left join passwords p on p.project_id = $1 and p.user_id = u.id`,
}));

/**
 * The SQL that gives users of `from` a password in place of the one they have, as a part of a `with`. Each argument is SQL over the columns
 * of `from`. A password has an id of its own, so that what one was checked against is not mistaken for the next.
 */
export const keepPasswordSql = (password: {
  from: string;
  projectId: string;
  userId: string;
  phc: string;
  imported: string;
  time: string;
}): string => `
  insert into passwords as p (project_id, user_id, phc, imported, update_time)
  select ${password.projectId}, ${password.userId}, ${password.phc}, ${password.imported}, ${password.time}
  from ${password.from}
  on conflict (project_id, user_id) do update
  set id = default, phc = excluded.phc, imported = excluded.imported, update_time = excluded.update_time`;

/**
 * Hashes a password anew, unless it was changed meanwhile: $1 project, $2 user, $3 id of the password, $4 its hash so far, $5 the new one.
 * It is still the same password, set when it was set.
 */
export const REHASH: Statement = {
  name: "passwords_rehash",
  text: `
    update passwords set phc = $5, imported = false
    where project_id = $1 and user_id = $2 and id = $3 and phc = $4`,
};
