import type { Database } from "../../src/db/orm.ts";
import type { Operator } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { nameKey } from "../../src/users/user-key.ts";
import { createFakeClock } from "../support/fake-clock.ts";

/** A field and how it is compared. */
export interface Pair {
  readonly field: string;
  readonly operator: keyof typeof Operator;
}
/** A filter as the naive look at each user takes it. */
export interface Listed extends Pair {
  readonly values: string[];
}

/** A user by its fields as they are compared: text, milliseconds, tags or nothing. */
export type Plain = Readonly<Record<string, string | number | boolean | readonly string[] | null>>;

/** The same numbers in every run (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const NAMES = [
  "Alice",
  "alice b",
  "ÄNNA",
  "änna k",
  "Bob",
  "BOBBY",
  "Zoë",
  "李雷",
  "李",
  "🎈 party",
  "Σοφία",
  "A",
  "_",
  "%",
];
const TAGS = ["a", "b", "c", "beta", "Beta", "%", "x y", "ü"];
const COLORS = ["red", "Red", "re", "grün", "%", "🎈", "x".repeat(255)];
const START = Date.UTC(2026, 0, 1);
/** Some of what users have is had by several: times lie on a coarse grid. */
const STEP_MS = 60_000;

/** Fills a project with users of few and recurring values, and gives them as they are compared. */
export async function randomRoll(db: Database, projectId: string, count: number) {
  const random = numbers(7);
  const newId = createIds(createFakeClock());
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  const maybe = <T>(share: number, make: () => T): T | null => (random() < share ? make() : null);
  const time = () => START + Math.floor(random() * 40) * STEP_MS;
  const roll = Array.from({ length: count }, (_, n): Plain => {
    const create_time = time();
    return {
      id: newId(),
      external_id: `${pick(["user", "User", "x_"])}${n}`,
      login: maybe(0.6, () => `${pick(["ann", "bo", "Ö"])}${n}`.toLowerCase()),
      email: maybe(0.5, () => `${pick(["ann", "bo"])}${n}@example.org`),
      phone: maybe(0.4, () => `+${pick([49, 1])}${7_000_000 + n}`),
      name: maybe(0.8, () => pick(NAMES)),
      tags: TAGS.filter(() => random() < 0.25),
      create_time,
      update_time: Math.max(create_time, time()),
      last_active_time: maybe(0.6, time),
      guest: random() < 0.3,
      "attributes.color": maybe(0.6, () => pick(COLORS)),
    };
  });
  const at = (ms: Plain[string]) => (ms === null ? null : new Date(Number(ms)).toISOString());
  await db.pool.query(
    `insert into attribute_definitions
       (project_id, key, content_types, can_be_empty, readers, writers, filterable, create_time, update_time)
     values ($1, 'color', '{text/plain}', false, '{SYSTEM,USER}', '{SYSTEM}', true, now(), now())`,
    [projectId],
  );
  const attributesOf = ({ "attributes.color": color }: Plain) =>
    color === null ? {} : { color: { content_type: "text/plain", text: color } };
  const rows = roll.map(({ "attributes.color": color, ...it }) => ({
    ...it,
    attributes: attributesOf({ "attributes.color": color ?? null }),
    ...{ login_key: it["login"], email_key: it["email"], name_key: it["name"] && nameKey(String(it["name"])) },
    ...{ create_time: at(it["create_time"] ?? null), update_time: at(it["update_time"] ?? null) },
    last_active_time: at(it["last_active_time"] ?? null),
  }));
  const columns = Object.keys(rows[0] ?? {});
  await db.pool.query(
    `insert into users (project_id, ${columns.join()}) select $1, ${columns.join()}
     from jsonb_populate_recordset(null::users, $2::jsonb)`,
    [projectId, JSON.stringify(rows)],
  );
  await db.pool.query("analyze users, user_attribute_index");
  return { roll, random };
}

const FOLDED = new Set(["login", "email", "name"]);
const folded = (field: string, value: string) => (FOLDED.has(field) ? value.normalize("NFKC").toLowerCase() : value);
const isTime = (field: string) => field.endsWith("_time");

/** Values that make sense for the pair: mostly those of somebody, in another spelling where that means the same. */
export function randomValues({ field, operator }: Pair, roll: readonly Plain[], random: () => number): string[] {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  if (operator === "EXISTS") return pick([[], ["true"], ["false"]]);
  const many = ["IN", "NOT_IN", "HAS_ANY", "HAS_ALL", "HAS_NONE"].includes(operator);
  const held = roll.flatMap((user) => user[field] ?? []) as (string | number | boolean)[];
  return Array.from({ length: many ? 1 + Math.floor(random() * 3) : 1 }, () => {
    const value = pick(held);
    if (isTime(field)) return spelledTime(Number(value), random);
    const text =
      operator === "STARTS_WITH"
        ? Array.from(String(value))
            .slice(0, 1 + Math.floor(random() * 4))
            .join("")
        : value;
    return FOLDED.has(field) && random() < 0.5 ? String(text).toUpperCase() : String(text);
  });
}

function spelledTime(ms: number, random: () => number): string {
  const iso = new Date(ms).toISOString();
  if (random() < 0.3) return iso.replace("Z", "000z").toLowerCase();
  return random() < 0.5 ? iso : `${new Date(ms + 5_400_000).toISOString().slice(0, -1)}+01:30`;
}

/** The ids, in order, of those that pass each filter. */
export function listedOf(roll: readonly Plain[], filters: readonly Listed[], orderBy: string): string[] {
  const [field = "", direction] = orderBy.split(" ");
  const sign = direction === "desc" ? -1 : 1;
  const listed = roll.filter((user) => filters.every((filter) => passes(user, filter)));
  const sorted = listed.toSorted((one, other) => {
    const [a, b] = [keyOf(one, field), keyOf(other, field)];
    if ((a === null) !== (b === null)) return a === null ? 1 : -1;
    return sign * (compare(a, b) || compare(keyOf(one, "id"), keyOf(other, "id")));
  });
  return sorted.map(({ id }) => String(id));
}

type Key = string | number | boolean | null;

function keyOf(user: Plain, field: string): Key {
  const value = (user[field] ?? null) as Key;
  return typeof value === "string" ? folded(field, value) : value;
}

function compare(one: Key, other: Key): number {
  if (typeof one === "string" && typeof other === "string") return Buffer.compare(Buffer.from(one), Buffer.from(other));
  return Number(one) - Number(other);
}

function passes(user: Plain, { field, operator, values }: Listed): boolean {
  if (field === "tags") return hasTags(user["tags"] as string[], operator, values);
  const value = keyOf(user, field);
  const wanted = values.map((it): Key => {
    if (isTime(field)) return Date.parse(it.toUpperCase());
    return typeof value === "boolean" ? it === "true" : folded(field, it);
  });
  if (operator === "EXISTS") return (value !== null) === (values[0] !== "false");
  if (operator === "NOT_EQUAL" || operator === "NOT_IN") return !wanted.includes(value);
  if (operator === "EQUAL" || operator === "IN") return wanted.includes(value);
  if (value === null) return false;
  if (operator === "STARTS_WITH") return String(value).startsWith(String(wanted[0]));
  const difference = compare(value, wanted[0] ?? null);
  if (operator.endsWith("OR_EQUAL") && difference === 0) return true;
  return operator.startsWith("GREATER") ? difference > 0 : difference < 0;
}

function hasTags(tags: readonly string[], operator: string, values: readonly string[]): boolean {
  const has = (tag: string) => tags.includes(tag);
  if (operator === "EXISTS") return tags.length > 0 === (values[0] !== "false");
  if (operator === "HAS_ALL") return values.every(has);
  return operator === "HAS_ANY" ? values.some(has) : !values.some(has);
}
