import { expect, test } from "vitest";
import { Operator, UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { type Listed, listedOf, type Pair, randomRoll, randomValues } from "./random-roll.ts";

/** What each field takes: the contract, in short. */
const EQUALITY = ["EQUAL", "NOT_EQUAL", "IN", "NOT_IN"] as const;
const COMPARISON = ["GREATER", "GREATER_OR_EQUAL", "LESS", "LESS_OR_EQUAL"] as const;
const TEXT = [...EQUALITY, "STARTS_WITH", ...COMPARISON] as const;
const TAKEN: Record<string, readonly (keyof typeof Operator)[]> = {
  id: [...EQUALITY, ...COMPARISON],
  external_id: TEXT,
  login: [...TEXT, "EXISTS"],
  email: [...TEXT, "EXISTS"],
  phone: [...TEXT, "EXISTS"],
  name: [...TEXT, "EXISTS"],
  tags: ["HAS_ANY", "HAS_ALL", "HAS_NONE", "EXISTS"],
  create_time: [...EQUALITY, ...COMPARISON],
  update_time: [...EQUALITY, ...COMPARISON],
  last_active_time: [...EQUALITY, ...COMPARISON, "EXISTS"],
  guest: EQUALITY,
  "attributes.color": [...TEXT, "EXISTS"],
};
const OPERATORS = (Object.keys(Operator) as (keyof typeof Operator)[]).filter((name) => name !== "UNSPECIFIED");
const PAIRS = Object.entries(TAKEN).flatMap(([field, taken]) => taken.map((operator): Pair => ({ field, operator })));
const REFUSED = Object.entries(TAKEN).flatMap(([field, taken]) =>
  OPERATORS.filter((operator) => !taken.includes(operator)).map((operator) => ({ field, operator })),
);
const ORDERS = Object.keys(TAKEN).filter((field) => !["tags", "guest", "attributes.color"].includes(field));

const { project, db } = await startApp();
const mine = await project();
const users = mine.system(UserService);
const { roll, random } = await randomRoll(db, mine.id, 240);
const theirs = await project();
await randomRoll(db, theirs.id, 60);

const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;

const sent = (filters: readonly Listed[]) => filters.map((it) => ({ ...it, operator: Operator[it.operator] }));

/** The ids of every page. */
async function listAll(filters: readonly Listed[], orderBy: string, pageSize: number): Promise<string[]> {
  const ids: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await users.listUsers({ filters: sent(filters), orderBy, pageSize, pageToken });
    ids.push(...page.users.map(({ id }) => id));
    pageToken = page.nextPageToken;
    if (pageToken === "") return ids;
    expect(page.users).toHaveLength(pageSize);
  }
}

const totalOf = async (filters: readonly Listed[]) =>
  (await users.listUsers({ filters: sent(filters), pageSize: 1, withTotal: true })).totalSize;

test.for(PAIRS)("$field $operator lists those that a look at each one finds", async (pair) => {
  let found = 0;
  for (let i = 0; i < 5; i++) {
    const filters = [{ ...pair, values: randomValues(pair, roll, random) }];
    const orderBy = `${pick(ORDERS)} ${pick(["asc", "desc"])}`;
    const expected = listedOf(roll, filters, orderBy);
    found += expected.length;
    expect(await listAll(filters, orderBy, pick([17, 50, 1_000])), JSON.stringify([filters, orderBy])).toEqual(
      expected,
    );
  }
  expect(found).toBeGreaterThan(0);
});

test("any filters together, by any order and any size of page, list those that a look at each one finds", async () => {
  for (let i = 0; i < 80; i++) {
    const filters = Array.from({ length: 2 + Math.floor(random() * 3) }, () => {
      const pair = pick(PAIRS);
      return { ...pair, values: randomValues(pair, roll, random) };
    });
    const orderBy = `${pick(ORDERS)} ${pick(["asc", "desc"])}`;
    const expected = listedOf(roll, filters, orderBy);
    expect(await listAll(filters, orderBy, pick([9, 40, 100])), JSON.stringify([filters, orderBy])).toEqual(expected);
    expect(await totalOf(filters)).toBe(expected.length);
  }
});

test.for(ORDERS)("by %s, either way, everybody is listed once, and those without a value last", async (field) => {
  for (const orderBy of [field, `${field} asc`, `${field} desc`])
    expect(await listAll([], orderBy, 9)).toEqual(listedOf(roll, [], orderBy));
});

test.for(REFUSED)("$field $operator is refused, and the refusal names both", async ({ field, operator }) => {
  const { reason, fields, error } = await refusalOf(
    users.listUsers({ filters: [{ field, operator: Operator[operator], values: ["true"] }] }),
  );
  expect([reason, fields]).toEqual(["REQUEST_INVALID", ["filters[0].operator"]]);
  expect(error.rawMessage).toContain(`${operator} makes no sense for ${field}`);
});
