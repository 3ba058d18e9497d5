import { invalid } from "../errors.ts";
import type { DefinitionsByKey } from "./attribute-definitions.ts";
import { attributeKeyOf, type FilterOperator, LIST_FIELDS, type ListField, listField } from "./list-fields.ts";

/** A condition that listed users meet, as the caller wrote it. */
export interface ListFilter {
  readonly field: string;
  readonly operator: FilterOperator;
  readonly values: readonly string[];
}

/** A filter that can be asked for: its values are in the form they are compared in. */
export interface ListCondition {
  readonly field: ListField;
  readonly operator: FilterOperator;
  readonly values: readonly string[];
}

/** Gives the SQL of a parameter that holds the value. */
export type Bind = (value: unknown) => string;

/** A user has at most as many tags. */
const MAX_TAGS = 50;

/** The condition of a filter. REQUEST_INVALID, at `path`, for what makes no sense or no index serves. */
export function conditionOf(
  { field: name, operator, values }: ListFilter,
  definitions: DefinitionsByKey,
  path: string,
): ListCondition {
  const field = listField(name, definitions);
  if (!field) throw invalid(`${path}.field`, unlisted(name));
  if (!field.operators.includes(operator))
    throw invalid(
      `${path}.operator`,
      `${operator} makes no sense for ${name}, or no index serves it: ${name} takes ${field.operators.join(", ")}`,
    );
  requireCount(operator, values.length, field, path);
  if (operator === "EXISTS") return { field, operator, values: [existsValue(values[0], path)] };
  return { field, operator, values: values.map((value, i) => comparable(field, value, `${path}.values[${i}]`)) };
}

/** Why a field is not among those that users are listed by. */
function unlisted(name: string): string {
  const key = attributeKeyOf(name);
  if (key !== undefined)
    return `no index serves ${name}: the project has no definition of a filterable attribute "${key}"`;
  return `no index serves ${name}: the fields are ${LIST_FIELDS.map((it) => it.name).join(", ")}, attributes.<key>`;
}

function requireCount(operator: FilterOperator, count: number, field: ListField, path: string): void {
  const many = operator === "IN" || operator === "NOT_IN" || field.type === "tags";
  if (operator === "EXISTS" ? count > 1 : many ? count === 0 : count !== 1)
    throw invalid(
      `${path}.values`,
      `${operator} takes ${operator === "EXISTS" ? "no value, or one" : many ? "one value or more" : "one value"}`,
    );
  if (field.type === "tags" && count > MAX_TAGS)
    throw invalid(`${path}.values`, `at most ${MAX_TAGS}: no user has more tags`);
}

function existsValue(value: string | undefined, path: string): "true" | "false" {
  if (value === undefined || value === "true") return "true";
  if (value === "false") return "false";
  throw invalid(`${path}.values[0]`, "must be true or false");
}

function comparable(field: ListField, value: string, path: string): string {
  const result = field.comparable(value);
  if (result !== undefined) return result;
  const hint = value === "" && field.nullable ? "; who has none is found by EXISTS with false" : "";
  throw invalid(path, `must be ${field.values}${hint}`);
}

const COMPARED_BY: Partial<Record<FilterOperator, string>> = {
  EQUAL: "=",
  STARTS_WITH: "^@",
  GREATER: ">",
  GREATER_OR_EQUAL: ">=",
  LESS: "<",
  LESS_OR_EQUAL: "<=",
};

/** The condition in SQL on `users`, whose project is $1. */
export function conditionSql({ field, operator, values }: ListCondition, bind: Bind): string {
  if (field.type === "tags") return tagsSql(operator, values, bind);
  if (field.attribute) return attributeSql(field, field.attribute.key, operator, values, bind);
  const { column, type, nullable } = field;
  switch (operator) {
    case "EXISTS":
      return `${column} is ${values[0] === "true" ? "not null" : "null"}`;
    case "NOT_EQUAL":
      return `${column} ${nullable ? "is distinct from" : "<>"} ${bind(values[0])}::${type}`;
    case "NOT_IN": {
      const others = `${column} <> all(${bind(values)}::${type}[])`;
      return nullable ? `(${column} is null or ${others})` : others;
    }
    default:
      return comparisonSql(field, operator, values, bind);
  }
}

const comparisonSql = (
  { column, type }: ListField,
  operator: FilterOperator,
  values: readonly string[],
  bind: Bind,
): string =>
  operator === "IN"
    ? `${column} = any(${bind(values)}::${type}[])`
    : `${column} ${COMPARED_BY[operator]} ${bind(values[0])}::${type}`;

/** The operators that exclude, and what they exclude. */
const EXCLUDES: Partial<Record<FilterOperator, FilterOperator>> = { NOT_EQUAL: "EQUAL", NOT_IN: "IN" };

/** A user holds a value if the index of attributes has a row of it, also where that value is no text. */
function attributeSql(
  field: ListField,
  key: string,
  operator: FilterOperator,
  values: readonly string[],
  bind: Bind,
): string {
  const row = `select from user_attribute_index held
    where held.project_id = users.project_id and held.user_id = users.id and held.key = ${bind(key)}`;
  if (operator === "EXISTS") return values[0] === "true" ? `exists (${row})` : without(row);
  const excluded = EXCLUDES[operator];
  const comparison = comparisonSql({ ...field, column: "held.value" }, excluded ?? operator, values, bind);
  return excluded ? without(`${row} and ${comparison}`) : `exists (${row} and ${comparison})`;
}

/** `offset 0` has each user looked up by the primary key, along the walk, instead of all rows read to be held against all users. */
const without = (row: string): string => `not exists (${row} offset 0)`;

/** The index of tags leaves out who has none. */
const TAGGED = "tags <> '{}'";

function tagsSql(operator: FilterOperator, values: readonly string[], bind: Bind): string {
  if (operator === "EXISTS") return values[0] === "true" ? TAGGED : "tags = '{}'";
  const tags = `${bind(values)}::text[]`;
  if (operator === "HAS_NONE") return `not (tags && ${tags})`;
  return `(${TAGGED} and tags ${operator === "HAS_ALL" ? "@>" : "&&"} ${tags})`;
}
