import { appendAuditSql } from "../../audit/append-audit.ts";
import { type RecordedStatement, recorded } from "../../db/recorded.ts";
import type { Statement } from "../../db/statement.ts";
import { updatedEventSql } from "../user-events.ts";
import { qualified } from "../user-statements.ts";
import type { AvatarSize } from "./avatar-images.ts";

/**
 * Makes an avatar a user's: $1 project, $2 user, $3 time, $4 hash, $5 URL, $6 event id, then what `from` takes, which gives the
 * object and the images. The user is locked first, as its deletion does. Gives the user, or nothing where `from` gives nothing.
 */
const writeSql = (from: string) => `
  with owner as (
    select id from users where project_id = $1 and id = $2 for update
  ), ${from}, avatar as (
    insert into avatars (project_id, user_id, hash, create_time, object_id, image_64, image_256, image_512)
    select $1::uuid, owner.id, $4, $3::timestamptz, source.* from owner, source
    on conflict (project_id, user_id) do update set hash = excluded.hash, create_time = excluded.create_time,
      object_id = excluded.object_id, image_64 = excluded.image_64, image_256 = excluded.image_256, image_512 = excluded.image_512
    returning user_id
  ), written as (
    update users u set avatar_url = $5, update_time = $3, version = u.version + 1
    from avatar where u.project_id = $1 and u.id = avatar.user_id
    returning ${qualified("u")}
  ), event as (${updatedEventSql({ id: "$6::uuid", createTime: "$3::timestamptz" })}
  ), ${auditSql("written")}
  select id from written`;

/** Says in an audit entry whose avatar changed: a part of a `with`. */
const auditSql = (from: string) =>
  `audit as (${appendAuditSql({
    from,
    projectId: "$1::uuid",
    userId: `${from}.id`,
    details: `'{"changed": ["avatar_url"]}'::jsonb`,
    createTime: "$3::timestamptz",
  })})`;

/** An avatar whose images stand in its row: $7 to $9 the images, from the smallest. */
export const WRITE_IMAGES: RecordedStatement = recorded({
  name: "avatars_write_images",
  text: writeSql("source as (select null::uuid, $7::bytea, $8::bytea, $9::bytea)"),
});

/** An avatar whose images are objects: $7 the object, which must still be reserved and then is so no longer. */
export const WRITE_OBJECT: RecordedStatement = recorded({
  name: "avatars_write_object",
  text: writeSql(`claimed as (
    delete from avatar_removals using owner where project_id = $1 and object_id = $7 and attempts = 0 returning object_id
  ), source as (select object_id, null::bytea, null::bytea, null::bytea from claimed)`),
});

/** Whether a user has this avatar at this address: $1 project, $2 user, $3 hash, $4 URL. */
export const HAS_AVATAR: Statement = {
  name: "avatars_has",
  text: `
    select from avatars a join users u on u.project_id = a.project_id and u.id = a.user_id
    where a.project_id = $1 and a.user_id = $2 and a.hash = $3 and u.avatar_url = $4`,
};

/** Whether an avatar is some user's: $1 project, $2 hash. */
export const KNOWS_AVATAR: Statement = {
  name: "avatars_knows",
  text: "select from avatars where project_id = $1 and hash = $2",
};

/** One size of an avatar: $1 project, $2 hash. Gives the image, or the object that holds it. */
export const READ_AVATAR: Record<AvatarSize, Statement> = {
  64: readStatement(64),
  256: readStatement(256),
  512: readStatement(512),
};

function readStatement(size: AvatarSize): Statement {
  return {
    name: `avatars_read_${size}`,
    text: `select image_${size} as image, object_id as "objectId" from avatars where project_id = $1 and hash = $2`,
  };
}

/** Takes a user's avatar and its `avatar_url` away: $1 project, $2 user, $3 time, $4 event id. Gives the user if it is there. */
export const DELETE_AVATAR: RecordedStatement = recorded({
  name: "avatars_delete",
  text: `
    with owner as (
      select id, avatar_url from users where project_id = $1 and id = $2 for update
    ), gone as (
      delete from avatars using owner where project_id = $1 and user_id = owner.id
      returning user_id as id
    ), written as (
      update users u set avatar_url = null, update_time = $3, version = u.version + 1
      from owner where u.project_id = $1 and u.id = owner.id and owner.avatar_url is not null
      returning ${qualified("u")}
    ), event as (${updatedEventSql({ id: "$4::uuid", createTime: "$3::timestamptz" })}
    ), changed as (select id from gone union select id from written), ${auditSql("changed")}
    select id from owner`,
});

/** Notes an object before it is made, so that it is removed if no avatar comes to name it: $1 project, $2 object, $3 when. */
export const RESERVE_OBJECT: Statement = {
  name: "avatar_removals_reserve",
  text: "insert into avatar_removals (project_id, object_id, due_time) values ($1, $2, $3)",
};

/**
 * Takes objects that are due, at most $2: $1 time. Each is due again after a minute, then two, and so on up to about an hour, unless
 * it is forgotten before: whoever took it may have been killed. Other processes take others.
 */
export const TAKE_REMOVALS: Statement = {
  name: "avatar_removals_take",
  text: `
    update avatar_removals r
    set attempts = r.attempts + 1, due_time = $1::timestamptz + interval '1 minute' * power(2, least(r.attempts, 6))
    from (
      select project_id, object_id from avatar_removals where due_time <= $1
      order by due_time limit $2 for update skip locked
    ) due
    where r.project_id = due.project_id and r.object_id = due.object_id
    returning r.project_id as "projectId", r.object_id as "objectId", r.attempts`,
};

/** Forgets an object that is removed: $1 project, $2 object. */
export const FORGET_REMOVAL: Statement = {
  name: "avatar_removals_forget",
  text: "delete from avatar_removals where project_id = $1 and object_id = $2",
};
