import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type Filter,
  ListUsersRequestSchema,
  ListUsersResponseSchema,
  Operator,
} from "../../src/gen/muster/v1/user_service_pb.ts";
import type { DefinitionsByKey } from "../../src/users/attribute-definitions.ts";
import { conditionOf } from "../../src/users/list-conditions.ts";
import type { FilterOperator } from "../../src/users/list-fields.ts";
import { LIST_FIELDS } from "../../src/users/list-fields.ts";
import { pageStatement } from "../../src/users/list-statements.ts";
import type { UserRow } from "../../src/users/user-statements.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools } from "../harness/row.ts";
import { ROW_TYPES, userOf } from "../harness/user-floor.ts";

interface World {
  readonly projectId: string;
  readonly accessKey: string;
  /** How many users there are. */
  readonly users: number;
}

/** A filter of the `n`th call. */
interface Asked {
  readonly field: string;
  readonly operator: FilterOperator;
  values(n: number, users: number): string[];
}

/** Different values that are asked for, spread over the roll. */
const DISTINCT = 100;
const PAGE = 50;
const spread = (n: number, users: number) => 1 + Math.floor(((n % DISTINCT) * users) / DISTINCT);
const time = (n: number, users: number) => [new Date((1_700_000_000 + spread(n, users)) * 1000).toISOString()];
const external = (n: number, users: number) => `user-${spread(n, users)}`;

/** One of each operator, of the kinds that cost most: many pass, or few and spread over the roll. */
const ASKED: readonly Asked[] = [
  { field: "external_id", operator: "EQUAL", values: (n, users) => [external(n, users)] },
  { field: "guest", operator: "EQUAL", values: () => ["true"] },
  { field: "name", operator: "NOT_EQUAL", values: (n) => [`name ${n}`] },
  { field: "external_id", operator: "IN", values: (n, users) => [0, 1, 2, 3, 4].map((i) => external(n + i, users)) },
  { field: "name", operator: "NOT_IN", values: (n) => [`name ${n}`, "another"] },
  { field: "name", operator: "STARTS_WITH", values: (n) => [(n % 256).toString(16).padStart(2, "0")] },
  { field: "create_time", operator: "GREATER", values: time },
  { field: "update_time", operator: "GREATER_OR_EQUAL", values: time },
  { field: "create_time", operator: "LESS", values: time },
  { field: "last_active_time", operator: "LESS_OR_EQUAL", values: () => ["2025-06-20T00:00:00Z"] },
  { field: "tags", operator: "HAS_ANY", values: () => ["rare", "nobody's"] },
  { field: "tags", operator: "HAS_ALL", values: () => ["all", "some"] },
  { field: "tags", operator: "HAS_NONE", values: () => ["some"] },
  { field: "email", operator: "EXISTS", values: () => ["true"] },
  { field: "attributes.color", operator: "EQUAL", values: () => ["red"] },
  { field: "attributes.color", operator: "STARTS_WITH", values: () => ["ra"] },
];

/** The attribute of generated users. */
const DEFINITIONS: DefinitionsByKey = new Map([
  [
    "color",
    {
      ...{ key: "color", contentTypes: ["text/plain"], canBeEmpty: false, filterable: true },
      ...{ readers: ["SYSTEM", "USER"], writers: ["SYSTEM"], createTime: new Date(0), updateTime: new Date(0) },
    },
  ],
]);

const caseOf = (asked: Asked | undefined): CallCase<World> => ({
  name: asked ? `${asked.field} ${asked.operator}` : "all",
  concurrency: [8],
  call: ({ accessKey, users }) =>
    grpcCall({
      path: "/muster.v1.UserService/ListUsers",
      credential: accessKey,
      input: ListUsersRequestSchema,
      output: ListUsersResponseSchema,
      distinct: DISTINCT,
      request(n) {
        if (!asked) return create(ListUsersRequestSchema, { pageSize: PAGE });
        const { field, operator, values } = asked;
        const filters = [{ field, operator: Operator[operator], values: values(n, users) }];
        return create(ListUsersRequestSchema, { filters, pageSize: PAGE });
      },
      comparable: (answer) => ({ ...answer, nextPageToken: "" }),
    }),
  floor: (world, tools) => listFloor(world, tools, asked),
  medianTarget: { ratioAtMost: 1.3 },
});

function listFloor({ projectId, users }: World, { pool }: FloorTools, asked: Asked | undefined): FloorHandler {
  const conditions = asked ? [conditionOf({ ...asked, values: asked.values(0, users) }, DEFINITIONS, "")] : [];
  const field = LIST_FIELDS.find(({ name }) => name === "create_time");
  if (!field) throw new Error("create_time is no field of lists any more");
  const shape = { projectId, conditions, order: { field, descending: true } };
  const { text } = pageStatement(shape, "valued", undefined, PAGE + 1).statement;
  // A name is of a connection, and the cases share those: each has its own.
  const statement = { name: `floor_${asked?.field}_${asked?.operator}`, text, types: ROW_TYPES };
  return async (message) => {
    const { filters } = fromBinary(ListUsersRequestSchema, message);
    const values = [projectId, ...filters.flatMap(parametersOf), PAGE + 1];
    const { rows } = await pool.query<UserRow>({ ...statement, values });
    const listed = rows.slice(0, PAGE).map(userOf);
    return toBinary(ListUsersResponseSchema, create(ListUsersResponseSchema, { users: listed }));
  };
}

/** The parameters of a filter: an attribute's key, then an array, one value or none. */
function parametersOf({ field, operator, values }: Filter): unknown[] {
  const key = field.startsWith("attributes.") ? [field.slice("attributes.".length)] : [];
  if (operator === Operator.EXISTS) return key;
  const many = [Operator.IN, Operator.NOT_IN, Operator.HAS_ANY, Operator.HAS_ALL, Operator.HAS_NONE] as Operator[];
  return [...key, many.includes(operator) ? values : values[0]];
}

export const row: CallRow<World> = {
  about: "ListUsers, 50 of them, by each operator, of as many users as --users says",
  floor: "a hand-written handler and the same select by name",
  async setUp({ projectId, accessKey, generateUsers }) {
    return { projectId, accessKey, users: await generateUsers() };
  },
  cases: [undefined, ...ASKED].map(caseOf),
};
