import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** JSON of a caller's own making. */
export type JsonObject = { [key: string]: unknown };

/** The value of an attribute: the message AttributeValue in JSON with the names of the proto, `data` in base64. */
export interface AttributeValue {
  readonly content_type: string;
  readonly text?: string;
  readonly data?: string;
}
/** A user's values by the keys of their definitions. */
export type Attributes = Readonly<Record<string, AttributeValue>>;
/** Addresses a user holds. `key` is the form one is compared in, `value` as the caller wrote it. */
export type HeldLocators = readonly {
  readonly type: "email" | "phone";
  readonly key: string;
  readonly value: string;
  readonly verified: boolean;
  readonly primary: boolean;
}[];

/** The message Suspension in JSON with the names of the proto; times in UTC to the millisecond. */
export interface Suspension {
  readonly id: string;
  readonly reason: string;
  readonly start_time: string;
  /** Left out: without end. */
  readonly end_time?: string;
  readonly blocks_sign_in: boolean;
}

/** A user of a project. `…Key` columns hold an identifier in the form it is compared in. */
export const UserEntity = defineEntity({
  name: "User",
  tableName: "users",
  properties: {
    projectId: p.uuid().primary(),
    id: p.uuid().primary(),
    externalId: p.text().collation("C"),
    login: p.text().nullable(),
    loginKey: p.text().collation("C").nullable(),
    /** What logins that look alike have in common. Null as well beside a login from before, which looks like another one. */
    loginSkeleton: p.text().collation("C").nullable(),
    name: p.text().nullable(),
    nameKey: p.text().collation("C").nullable(),
    email: p.text().nullable(),
    emailKey: p.text().collation("C").nullable(),
    emailVerified: p.boolean().default(false),
    phone: p.text().collation("C").nullable(),
    phoneVerified: p.boolean().default(false),
    /** All addresses in the order they were added, {type, key, value, verified, primary}. */
    locators: p.json<HeldLocators>().defaultRaw("'[]'"),
    avatarUrl: p.text().nullable(),
    bio: p.text().nullable(),
    website: p.text().nullable(),
    /** `YYYY-MM-DD`. */
    birthdate: p.date().nullable(),
    timeZone: p.text().nullable(),
    latitude: p.double().nullable(),
    longitude: p.double().nullable(),
    metadata: p.json<JsonObject>().nullable(),
    privateMetadata: p.json<JsonObject>().nullable(),
    attributes: p.json<Attributes>().default("{}"),
    tags: p.array().default([]),
    suspensions: p.json<readonly Suspension[]>().default("[]"),
    /** Tokens and sessions that began before are dead: all that the user had was ended. A full second. */
    tokensValidFrom: p.datetime().nullable(),
    reputation: p.bigint("number").defaultRaw("0"),
    guest: p.boolean().default(false),
    createTime: p.datetime(),
    updateTime: p.datetime(),
    lastActiveTime: p.datetime().nullable(),
    version: p.integer().default(1),
  },
  indexes: [
    { name: "users_name", properties: ["projectId", "nameKey", "id"] },
    { name: "users_create_time", properties: ["projectId", "createTime", "id"] },
    { name: "users_update_time", properties: ["projectId", "updateTime", "id"] },
    { name: "users_last_active_time", properties: ["projectId", "lastActiveTime", "id"] },
    { name: "users_guest", properties: ["projectId", "guest", "createTime", "id"] },
    {
      name: "users_tags",
      expression: "create index users_tags on users using gin (tags) with (fastupdate = off) where tags <> '{}'",
    },
  ],
  uniques: [
    { name: "users_external_id", properties: ["projectId", "externalId"] },
    { name: "users_login", properties: ["projectId", "loginKey"] },
    { name: "users_login_skeleton", properties: ["projectId", "loginSkeleton"] },
    { name: "users_email", properties: ["projectId", "emailKey"] },
    { name: "users_phone", properties: ["projectId", "phone"] },
  ],
});
export type User = InferEntity<typeof UserEntity>;

/** The id of a user that was deleted, kept so that it is never given out again. */
export const DeletedUserEntity = defineEntity({
  name: "DeletedUser",
  tableName: "deleted_users",
  properties: {
    projectId: p.uuid().primary(),
    id: p.uuid().primary(),
    deleteTime: p.datetime(),
  },
});
