import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { invalid, MusterError } from "../errors.ts";
import type { PagePosition, PageTokens } from "../page-tokens.ts";
import type { ProjectDirectory } from "../projects/projects.ts";
import { type AttributeDefinitions, type DefinitionsByKey, mayRead } from "./attribute-definitions.ts";
import type { ProjectScope } from "./find-user.ts";
import { conditionOf, type ListFilter } from "./list-conditions.ts";
import { attributeKeyOf, LIST_FIELDS, type ListField } from "./list-fields.ts";
import {
  countStatement,
  type ListOrder,
  type ListShape,
  pageStatement,
  partsOf,
  positionOf,
} from "./list-statements.ts";
import type { UserRow } from "./user-statements.ts";

export interface ListPorts {
  readonly db: Database;
  readonly projects: ProjectDirectory;
  readonly attributes: AttributeDefinitions;
  readonly pageTokens: PageTokens;
}

/** What a caller asks for, as it wrote it. */
export interface ListQuery {
  readonly filters: readonly ListFilter[];
  /** A field and `asc` or `desc`; empty: the latest first. */
  readonly orderBy: string;
  /** 0–1,000; 0: 50. */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
  readonly withTotal: boolean;
}

/** A user that lists the others: it may only ask by what it may see of them. */
export interface ListReader {
  mayRead(field: string): boolean;
}

/** A page of users. */
export interface UserPage {
  readonly users: readonly UserRow[];
  /** Empty: there is no page after this one. */
  readonly nextPageToken: string;
  /** Undefined unless it was asked for. */
  readonly total: number | undefined;
}

const DEFAULT_PAGE = 50;
const DEFAULT_ORDER = "create_time desc";

/**
 * Lists users by a range of an index. A page begins behind the last user of the one before, not at a count, so that users who come,
 * change or go move nobody else. `reader` is the user that asks; undefined: `.system`. REQUEST_INVALID for what no index serves and for
 * a page token of another query; PRINCIPAL_NOT_ALLOWED to users, unless the project lets them list, and by fields they may not see.
 */
export async function listUsers(
  { db, projects, attributes, pageTokens }: ListPorts,
  { projectId, signal }: ProjectScope,
  asked: ListQuery,
  reader?: ListReader,
): Promise<UserPage> {
  const { settings } = await projects.get(projectId);
  if (reader && !settings.usersMayList) throw new MusterError("PRINCIPAL_NOT_ALLOWED");
  const shape = shapeOf(projectId, asked, await definitionsFor(attributes, projectId, asked.filters));
  if (reader) requireReadable(shape, reader);
  const { field, descending } = shape.order;
  const context = { list: "users", projectId, query: [asked.filters, field.name, descending] };
  const after = asked.pageToken ? pageTokens.read(context, asked.pageToken) : undefined;
  const size = asked.pageSize || DEFAULT_PAGE;
  const rows = await readPage(db, shape, after, size + 1, signal);
  const last = rows[size - 1];
  return {
    users: rows.slice(0, size),
    nextPageToken: last && rows.length > size ? pageTokens.issue(context, positionOf(last)) : "",
    total: asked.withTotal ? await count(db, shape, signal) : undefined,
  };
}

/** The definitions, where a filter needs one; as of now, where it seems not to be there: it may be this moment. */
async function definitionsFor(
  attributes: AttributeDefinitions,
  projectId: string,
  filters: readonly ListFilter[],
): Promise<DefinitionsByKey> {
  const keys = filters.flatMap(({ field }) => attributeKeyOf(field) ?? []);
  if (keys.length === 0) return new Map();
  const known = await attributes.of(projectId);
  return keys.every((key) => known.get(key)?.filterable) ? known : attributes.reload(projectId);
}

function requireReadable({ conditions, order }: ListShape, reader: ListReader): void {
  const isReadable = ({ name, attribute }: ListField) =>
    attribute ? reader.mayRead("attributes") && mayRead(attribute, false) : reader.mayRead(name);
  for (const field of [...conditions.map((it) => it.field), order.field])
    if (!isReadable(field)) throw new MusterError("PRINCIPAL_NOT_ALLOWED", { metadata: { field: field.name } });
}

function shapeOf(projectId: string, { filters, orderBy }: ListQuery, definitions: DefinitionsByKey): ListShape {
  const conditions = filters.map((filter, i) => conditionOf(filter, definitions, `filters[${i}]`));
  return { projectId, conditions, order: orderOf(orderBy || DEFAULT_ORDER) };
}

function orderOf(orderBy: string): ListOrder {
  const [name, direction = "asc", ...rest] = orderBy.trim().split(/\s+/);
  if (rest.length > 0 || !["asc", "desc"].includes(direction))
    throw invalid("order_by", "must be one field, and asc or desc, such as create_time desc: no index serves more");
  const field = LIST_FIELDS.find((it) => it.name === name);
  if (field?.order) return { field, descending: direction === "desc" };
  const ordered = LIST_FIELDS.filter((it) => it.order).map((it) => it.name);
  throw invalid("order_by", `no index gives the order by ${name}: there are those by ${ordered.join(", ")}`);
}

type OrderedRow = UserRow & { orderKey: string | null };

async function readPage(
  db: Database,
  shape: ListShape,
  after: PagePosition | undefined,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<OrderedRow[]> {
  const rows: OrderedRow[] = [];
  for (const part of partsOf(shape, after)) {
    const { statement, values } = pageStatement(shape, part, after, limit - rows.length);
    rows.push(...(await query<OrderedRow>(db.pool, statement, values, signal)));
    if (rows.length === limit) break;
  }
  return rows;
}

async function count(db: Database, shape: ListShape, signal: AbortSignal | undefined): Promise<number> {
  const { statement, values } = countStatement(shape);
  const [row] = await query<{ count: number }>(db.pool, statement, values, signal);
  return row?.count ?? 0;
}
