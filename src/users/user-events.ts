import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Act } from "../db/act.ts";
import { appendEventSql, ORIGIN_OF_ACT } from "../events/append-event.ts";
import { COLUMNS, qualified } from "./user-statements.ts";

/** A user of `written` as both events tell it: the message User in JSON with the names of the proto, but for what changes without an event. */
const USER = (() => {
  const derived = ["birthdate", "latitude", "longitude", "version", "last_active_time", "locators"];
  const plain = COLUMNS.filter((name) => !derived.includes(name)).map((name) => `'${name}', written.${name}`);
  const part = (unit: string) => `'${unit}', extract(${unit} from written.birthdate)::int`;
  const shown = ["value", "verified", "primary"].map((name) => `'${name}', l -> '${name}'`).join(", ");
  return `jsonb_build_object('user', jsonb_strip_nulls(jsonb_build_object(${plain.join(", ")},
    'locators', (select jsonb_agg(jsonb_build_object('type', 'LOCATOR_TYPE_' || upper(l ->> 'type'), ${shown}) order by position)
      from jsonb_array_elements(written.locators) with ordinality as held (l, position)),
    'location', case when written.latitude is not null then
      jsonb_build_object('latitude', written.latitude, 'longitude', written.longitude) end,
    'birthdate', case when written.birthdate is not null then
      jsonb_build_object(${["year", "month", "day"].map(part).join(", ")}) end)))`;
})();

const ABOUT = { projectId: "$1::uuid", userId: "written.id", data: USER, origin: ORIGIN_OF_ACT };

/** What tells of users of project $1, which `written` has: pieces of SQL over `from`, by default that alone. */
export interface UserEventSql {
  readonly from?: string;
  readonly where?: string;
  readonly id: string;
  readonly createTime: string;
}

/** Appends `user.created`: a part of a `with`. */
export const createdEventSql = ({ from = "written", ...event }: UserEventSql): string =>
  appendEventSql({ ...ABOUT, ...event, from, type: "user.created" });

/** Appends `user.updated`: a part of a `with`. */
export const updatedEventSql = ({ from = "written", ...event }: UserEventSql): string =>
  appendEventSql({ ...ABOUT, ...event, from, type: "user.updated" });

/** Appends `user.created` of those users of `written` that are `created`, and `user.updated` of the others: a part of a `with`. */
export const createdOrUpdatedEventSql = ({ from = "written", ...event }: UserEventSql): string =>
  appendEventSql({
    ...ABOUT,
    ...event,
    from,
    type: { when: "written.created", is: "user.created", otherwise: "user.updated" },
  });

/** What a statement that writes a user gives of it, for its event. */
export const EVENT_COLUMNS = qualified("u");

/** Columns that change without an event. */
const UNTOLD = ["id", "create_time", "update_time", "last_active_time", "version"];

/**
 * Whether what is told of a user of `written` was changed, and not its password alone. The statement sees the row as it was when it began;
 * where it was written since then, it is not known what this statement changed.
 */
export const IS_NEWS = (() => {
  const told = COLUMNS.filter((name) => !UNTOLD.includes(name));
  const row = (table: string) => `(${told.map((name) => `${table}.${name}`).join(", ")})`;
  return `(
    select x.version + 1 <> written.version or ${row("x")} is distinct from ${row("written")}
    from users x where x.project_id = $1 and x.external_id = written.external_id) is not false`;
})();

/** A user that was changed in a transaction. */
export interface UserUpdate {
  readonly projectId: string;
  readonly userId: string;
  readonly eventId: string;
  readonly now: Date;
}

const UPDATED = appendEventSql({
  ...ABOUT,
  from: `(
    select ${EVENT_COLUMNS}, u.project_id, given.event_id, given.time, given.act
    from (select ?::uuid as event_id, ?::timestamptz as time, ?::jsonb as act) given, users u
    where u.project_id = ? and u.id = ?) written`,
  projectId: "written.project_id",
  id: "written.event_id",
  type: "user.updated",
  origin: ORIGIN_OF_ACT.replace("$act", "written.act"),
  createTime: "written.time",
});

/** Appends `user.updated` in the transaction of `em`, once what it has changed of the user is written. */
export async function tellUpdated(
  em: SqlEntityManager,
  { facts }: Act,
  { projectId, userId, eventId, now }: UserUpdate,
): Promise<void> {
  await em.flush();
  await em.execute(UPDATED, [eventId, now, facts, projectId, userId]);
}
