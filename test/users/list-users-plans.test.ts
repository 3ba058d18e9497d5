import { afterAll, expect, test } from "vitest";
import { generateUsers } from "../../bench/harness/generated-users.ts";
import { systemClock } from "../../src/clock.ts";
import type { PagePosition } from "../../src/page-tokens.ts";
import { createAttributeDefinitions } from "../../src/users/attribute-definitions.ts";
import { conditionOf, type ListFilter } from "../../src/users/list-conditions.ts";
import { type FilterOperator, LIST_FIELDS, type ListField, listField } from "../../src/users/list-fields.ts";
import { type ListPart, type ListShape, pageStatement, partsOf } from "../../src/users/list-statements.ts";
import { startApp } from "../support/start-app.ts";

/** A million with MUSTER_TEST_MILLION=1, which takes minutes, and planned as by any Postgres. */
const MILLION = process.env["MUSTER_TEST_MILLION"] === "1";
const USERS = MILLION ? 1_000_000 : 20_000;
const TIMEOUT_MS = 1_200_000;

const { project, db } = await startApp();
const { id: projectId } = await project();
const { id: otherId } = await project();
await generateUsers(db.pool, otherId, USERS / 50);
await generateUsers(db.pool, projectId, USERS);

const planner = await db.pool.connect();
afterAll(() => planner.release(true));
// A table of few pages is read from end to end for less than an index of it, as long as a page out of turn is held to cost four in turn.
// It says something of large tables only where all cost the same, as they do in memory.
if (!MILLION) await planner.query("set random_page_cost = 1");

const definitions = await createAttributeDefinitions(db, systemClock).of(projectId);
const FIELDS = [...LIST_FIELDS, listField("attributes.color", definitions) as ListField];

const MIDDLE = USERS / 2;
const minute = (n: number) => new Date(1_700_000_000_000 + n * 1000).toISOString();
/** A value that some, many or one of the users have. */
const VALUES: Record<string, string> = {
  id: "0190163f-2000-7000-8000-000000000000",
  external_id: `user-${MIDDLE}`,
  login: `login${MIDDLE}`,
  email: `user.${MIDDLE + 1}@example.com`,
  phone: `+49${1_700_000_000 + MIDDLE}`,
  name: "c4ca42 1",
  create_time: minute(MIDDLE),
  update_time: minute(MIDDLE),
  last_active_time: "2025-06-16T00:00:00Z",
};

/** What most or half, some, one in ten thousand and none of the users have. */
const SEVERAL: Record<string, string[]> = {
  tags: ["all", "some", "rare", "nobody's"],
  guest: ["false", "true"],
  "attributes.color": ["red", "green", "rare", "nobody's"],
};

const filtersOf = (field: ListField, operator: FilterOperator): ListFilter[] => {
  if (operator === "EXISTS")
    return ["true", "false"].map((value) => ({ field: field.name, operator, values: [value] }));
  const values = SEVERAL[field.name] ?? [VALUES[field.name] ?? ""];
  return values.map((value) => ({ field: field.name, operator, values: [value] }));
};
const SINGLE = FIELDS.flatMap((field) => field.operators.flatMap((operator) => filtersOf(field, operator)));
const ORDERS = LIST_FIELDS.filter((field) => field.order).flatMap((field) =>
  [false, true].map((descending) => ({ field, descending })),
);

interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly Plans?: readonly Node[];
}

const flat = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(flat)];

/** The parts of the plan that read otherwise than by an index. */
async function withoutIndex(shape: ListShape, part: ListPart, after: PagePosition | undefined): Promise<string[]> {
  const { statement, values } = pageStatement(shape, part, after, 51);
  const { rows } = await planner.query<{ "QUERY PLAN": [{ Plan: Node }] }>({
    text: `explain (format json) ${statement.text}`,
    values,
  });
  const nodes = flat(rows[0]?.["QUERY PLAN"][0].Plan as Node);
  const reads = nodes.filter((node) => node["Relation Name"] !== undefined || node["Node Type"].includes("Bitmap"));
  expect(reads).not.toEqual([]);
  const ways = ["Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Bitmap Index Scan", "BitmapAnd", "BitmapOr"];
  return reads.map((node) => node["Node Type"]).filter((way) => !ways.includes(way));
}

/** Pages of each part, from its start and from its middle, that are not read by an index. */
async function unserved(filters: readonly ListFilter[]): Promise<string[]> {
  const conditions = filters.map((filter) => conditionOf(filter, definitions, "filter"));
  const found: string[] = [];
  for (const order of ORDERS) {
    const shape = { projectId, conditions, order };
    for (const part of partsOf(shape, undefined)) {
      const middle = [part === "missing" ? null : (VALUES[order.field.name] ?? ""), VALUES["id"] ?? ""];
      for (const after of [undefined, middle])
        for (const way of await withoutIndex(shape, part, after))
          found.push(`${way}: ${JSON.stringify([filters, order.field.name, order.descending, part, after])}`);
    }
  }
  return found;
}

test("without a filter, every order is read from an index", { timeout: TIMEOUT_MS }, async () => {
  expect(await unserved([])).toEqual([]);
});

test.for(SINGLE)(
  "$field $operator $values is served by an index in every order",
  { timeout: TIMEOUT_MS },
  async (filter) => {
    expect(await unserved([filter])).toEqual([]);
  },
);

test("two filters together are served by an index in every order", { timeout: TIMEOUT_MS }, async () => {
  for (const [i, filter] of SINGLE.entries()) {
    const other = SINGLE[(i * 7 + 3) % SINGLE.length] as ListFilter;
    expect(await unserved([filter, other])).toEqual([]);
  }
});
