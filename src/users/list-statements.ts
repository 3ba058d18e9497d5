import type { Statement } from "../db/statement.ts";
import type { PagePosition } from "../page-tokens.ts";
import { type Bind, conditionSql, type ListCondition } from "./list-conditions.ts";
import type { ListField } from "./list-fields.ts";
import { AS_ROW } from "./user-statements.ts";

/** The field that listed users are ordered by. Those without a value come last in both directions. */
export interface ListOrder {
  readonly field: ListField;
  readonly descending: boolean;
}

/** Which users are listed, and in which order. */
export interface ListShape {
  readonly projectId: string;
  readonly conditions: readonly ListCondition[];
  readonly order: ListOrder;
}

/**
 * A part of a list: those with a value to order by, then those without. Each is one range of an index, which they are not together:
 * no comparison goes over from a value to none.
 */
export type ListPart = "valued" | "missing";

/** A statement and what it is bound to. */
export interface BoundStatement {
  readonly statement: Statement;
  readonly values: unknown[];
}

/** A page ends behind a user: the value it is ordered by (null: none) and its id. */
export const positionOf = (row: { orderKey: string | null; id: string }): PagePosition => [row.orderKey, row.id];

/** The parts of a list, in their order, that the conditions leave users in and that do not lie before the position. */
export function partsOf({ conditions, order }: ListShape, after: PagePosition | undefined): ListPart[] {
  const same = conditions.filter(({ field }) => field.name === order.field.name);
  const isMissing = same.some(({ operator, values }) => operator === "EXISTS" && values[0] === "false");
  const mayBeMissing = ["NOT_EQUAL", "NOT_IN"];
  const isValued = same.some((it) =>
    it.operator !== "EXISTS" ? !mayBeMissing.includes(it.operator) : it.values[0] === "true",
  );
  const parts: ListPart[] = after?.[0] === null || isMissing ? [] : ["valued"];
  return order.field.nullable && !isValued ? [...parts, "missing"] : parts;
}

/**
 * The next `limit` users of a part. It has no name: which index is best hangs on the values and on how many users share them, so
 * it is planned for them, each time.
 */
export function pageStatement(
  shape: ListShape,
  part: ListPart,
  after: PagePosition | undefined,
  limit: number,
): BoundStatement {
  const values: unknown[] = [];
  const bind = binder(values);
  const { field, descending } = shape.order;
  const where = whereSql(shape, bind);
  if (field.nullable) where.push(`${field.column} is ${part === "valued" ? "not null" : "null"}`);
  // Where all values are the same, none, the id alone decides; but only an index that ends in it gives that order.
  const order =
    part === "missing" && field.order === "unique" ? ["id"] : [field.column, ...(field.order === "id" ? ["id"] : [])];
  const continues = after !== undefined && (after[0] === null) === (part === "missing");
  if (continues) where.push(afterSql(shape.order, part, after, bind));
  const direction = descending ? "desc" : "asc";
  const text = `
    select ${AS_ROW}, ${field.column}::text as "orderKey" from users
    where ${where.join(" and ")}
    order by ${order.map((column) => `users.${column} ${direction}`).join(", ")}
    limit ${bind(limit)}`;
  return { statement: { text }, values };
}

/** How many users the conditions let through. */
export function countStatement(shape: ListShape): BoundStatement {
  const values: unknown[] = [];
  const where = whereSql(shape, binder(values));
  return { statement: { text: `select count(*) as count from users where ${where.join(" and ")}` }, values };
}

const binder =
  (values: unknown[]): Bind =>
  (value) =>
    `$${values.push(value)}`;

const whereSql = ({ projectId, conditions }: ListShape, bind: Bind): string[] => [
  `project_id = ${bind(projectId)}::uuid`,
  ...conditions.map((condition) => conditionSql(condition, bind)),
];

function afterSql({ field, descending }: ListOrder, part: ListPart, [key, id]: PagePosition, bind: Bind): string {
  const beyond = descending ? "<" : ">";
  if (part === "missing") return `id ${beyond} ${bind(id)}::uuid`;
  if (field.order === "unique") return `${field.column} ${beyond} ${bind(key)}::${field.type}`;
  return `(${field.column}, id) ${beyond} (${bind(key)}::${field.type}, ${bind(id)}::uuid)`;
}
