import { UUID } from "../ids.ts";
import type { AttributeDefinition, DefinitionsByKey } from "./attribute-definitions.ts";
import { emailKey } from "./email-address.ts";
import { loginKey, nameKey } from "./user-key.ts";

/** How a filter compares: the operators of the contract, without their prefix. */
export type FilterOperator =
  | "EQUAL"
  | "NOT_EQUAL"
  | "IN"
  | "NOT_IN"
  | "STARTS_WITH"
  | "GREATER"
  | "GREATER_OR_EQUAL"
  | "LESS"
  | "LESS_OR_EQUAL"
  | "HAS_ANY"
  | "HAS_ALL"
  | "HAS_NONE"
  | "EXISTS";

/** A field that users are listed by: what it is compared by, and which index serves it. */
export interface ListField {
  /** As it is called on the wire. */
  readonly name: string;
  /** SQL of what is compared, and its type. */
  readonly column: string;
  readonly type: "text" | "uuid" | "timestamptz" | "boolean" | "tags";
  /** Whether users can be without it. */
  readonly nullable: boolean;
  /** How its index ends: `unique`, one user to a value; `id`, equal ones by their id; undefined: it gives no order. */
  readonly order: "unique" | "id" | undefined;
  readonly operators: readonly FilterOperator[];
  /** For `attributes.<key>`: whose values `user_attribute_index` holds, where `column` is one of its columns. */
  readonly attribute?: AttributeDefinition;
  /** What a value of it is, for people. */
  readonly values: string;
  /** A value in the form it is compared in; undefined for what is none. */
  comparable(value: string): string | undefined;
}

const EQUALITY = ["EQUAL", "NOT_EQUAL", "IN", "NOT_IN"] as const;
const COMPARISON = ["GREATER", "GREATER_OR_EQUAL", "LESS", "LESS_OR_EQUAL"] as const;
const TEXT = [...EQUALITY, "STARTS_WITH", ...COMPARISON] as const;

/** The longest tag, in characters. */
const TAG_LENGTH = 64;

/** Years 1 to 9999, at most nanoseconds (RFC 3339 §5.6). */
const TIME =
  /^(?!0000)(\d{4}-(?:0[1-9]|1[0-2])-(\d\d))[Tt]((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d)(\.\d{1,9})?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/** In UTC, as the database does not take every offset that there can be. */
function timeOf(value: string): string | undefined {
  const [, date = "", day, clock, fraction = "", offset] = TIME.exec(value) ?? [];
  // A day that the month does not have is moved into the next one.
  if (new Date(date).getUTCDate() !== Number(day)) return undefined;
  const utc = new Date(`${date}T${clock}${offset}`.toUpperCase()).toISOString();
  return /^\d{4}-/.test(utc) && !utc.startsWith("0000") ? utc.replace(".000", fraction) : undefined;
}

type Text = Pick<ListField, "name" | "column" | "nullable" | "order"> & { comparable(value: string): string };

const text = ({ comparable, ...field }: Text): ListField => ({
  ...field,
  type: "text",
  operators: field.nullable ? [...TEXT, "EXISTS"] : TEXT,
  values: "a text that is not empty",
  comparable: (value) => comparable(value) || undefined,
});

const time = (name: string, nullable: boolean): ListField => ({
  ...{ name, column: name, nullable, type: "timestamptz", order: "id" },
  operators: nullable ? [...EQUALITY, ...COMPARISON, "EXISTS"] : [...EQUALITY, ...COMPARISON],
  values: "a time of RFC 3339, such as 2026-01-31T12:00:00Z",
  comparable: timeOf,
});

const same = (value: string): string => value;

/** THE list of the fields that filters and orders name. An index stands behind each: docs/retrieval.md. */
export const LIST_FIELDS: readonly ListField[] = [
  {
    ...{ name: "id", column: "id", type: "uuid", nullable: false, order: "unique" },
    operators: [...EQUALITY, ...COMPARISON],
    values: "a UUID in lower case",
    comparable: (value) => (UUID.test(value) ? value : undefined),
  },
  text({ name: "external_id", column: "external_id", nullable: false, order: "unique", comparable: same }),
  text({ name: "login", column: "login_key", nullable: true, order: "unique", comparable: loginKey }),
  text({ name: "email", column: "email_key", nullable: true, order: "unique", comparable: emailKey }),
  text({ name: "phone", column: "phone", nullable: true, order: "unique", comparable: same }),
  text({ name: "name", column: "name_key", nullable: true, order: "id", comparable: nameKey }),
  {
    ...{ name: "tags", column: "tags", type: "tags", nullable: true, order: undefined },
    operators: ["HAS_ANY", "HAS_ALL", "HAS_NONE", "EXISTS"],
    values: "a tag of 1–64 characters",
    comparable: (value) => (value !== "" && Array.from(value).length <= TAG_LENGTH ? value : undefined),
  },
  time("create_time", false),
  time("update_time", false),
  time("last_active_time", true),
  {
    ...{ name: "guest", column: "guest", type: "boolean", nullable: false, order: undefined },
    operators: EQUALITY,
    values: "true or false",
    comparable: (value) => (value === "true" || value === "false" ? value : undefined),
  },
];

const ATTRIBUTE = "attributes.";
/** The index has so many characters of a value, and one more to tell those that go on. */
const ATTRIBUTE_LENGTH = 255;

/** The key of the attribute that a field's name names. */
export const attributeKeyOf = (name: string): string | undefined =>
  name.startsWith(ATTRIBUTE) ? name.slice(ATTRIBUTE.length) : undefined;

/** The field of that name; undefined for one that no index serves. */
export function listField(name: string, definitions: DefinitionsByKey): ListField | undefined {
  const key = attributeKeyOf(name);
  if (key === undefined) return LIST_FIELDS.find((field) => field.name === name);
  const attribute = definitions.get(key);
  return attribute?.filterable ? attributeField(name, attribute) : undefined;
}

const attributeField = (name: string, attribute: AttributeDefinition): ListField => ({
  ...{ name, attribute, column: "value", type: "text", nullable: true, order: undefined },
  operators: [...TEXT, "EXISTS"],
  values: `a text of 1–${ATTRIBUTE_LENGTH} characters`,
  comparable: (value) => (value !== "" && Array.from(value).length <= ATTRIBUTE_LENGTH ? value : undefined),
});
