import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../src/clock.ts";
import type { User } from "../../src/gen/muster/v1/user_pb.ts";
import {
  UpsertUserRequestSchema,
  type UpsertUserResponse,
  UpsertUserResponseSchema,
} from "../../src/gen/muster/v1/user_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { UPSERT_USER } from "../../src/users/upsert-statements.ts";
import type { UserRow } from "../../src/users/user-statements.ts";
import { FLOOR_DETAILS, floorAct } from "../harness/floor-act.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools, Side } from "../harness/row.ts";
import { userNumber } from "../harness/tenant.ts";
import { BENCH_MASK, profileValues, ROW_TYPES, userOf } from "../harness/user-floor.ts";

interface World {
  readonly projectId: string;
  readonly accessKey: string;
}

/** Those who are upserted as they are, and after them those who are changed. */
const UNCHANGED = 1_000;
const CHANGED = 1_000;

interface Kind {
  readonly created: boolean;
  readonly distinct?: number;
  /** What the `n`th call writes. */
  user(n: number, side: Side): User;
  /** What differs from one call to the next. */
  readonly differs: readonly (keyof User)[];
}

const NEW: Kind = {
  created: true,
  user: (n, side) => ({ ...userNumber(n), externalId: `${side}-${n}`, email: `${side}.${n}@example.com` }),
  differs: ["id", "externalId", "email", "locators", "createTime", "updateTime"],
};

const CHANGE: Kind = {
  created: false,
  user: (n, side) => ({ ...userNumber(UNCHANGED + (n % CHANGED)), name: `${side} ${n}` }),
  differs: ["name", "updateTime", "etag"],
};

const SAME: Kind = { created: false, distinct: UNCHANGED, user: userNumber, differs: [] };

const caseOf = (name: string, kind: Kind, ratioAtMost: number): CallCase<World> => ({
  name,
  concurrency: [32],
  call: ({ accessKey }, side) =>
    grpcCall({
      path: "/muster.v1.UserService/UpsertUser",
      credential: accessKey,
      input: UpsertUserRequestSchema,
      output: UpsertUserResponseSchema,
      ...(kind.distinct && { distinct: kind.distinct }),
      request(n) {
        const { externalId, ...user } = kind.user(n, side);
        return create(UpsertUserRequestSchema, { externalId, user: { ...user, externalId: "" } });
      },
      comparable: (answer) => withoutDifferences(kind, answer),
    }),
  floor: upsertFloor,
  target: { ratioAtMost },
});

function withoutDifferences({ created, differs }: Kind, answer: UpsertUserResponse): UpsertUserResponse {
  if (answer.created !== created) throw new Error(`created: ${answer.created}`);
  const { $typeName: _, ...user } = answer.user as User;
  for (const field of differs) delete (user as Partial<User>)[field];
  return create(UpsertUserResponseSchema, { created, user });
}

function upsertFloor({ projectId }: World, { pool }: FloorTools): FloorHandler {
  const newId = createIds(systemClock);
  return async (message) => {
    const { externalId, user } = fromBinary(UpsertUserRequestSchema, message);
    const head = [projectId, BENCH_MASK, new Date(), newId(), externalId, newId()];
    const values = [...head, ...profileValues(user as User), [], FLOOR_DETAILS, floorAct("UserService/UpsertUser")];
    const { rows } = await pool.query<UserRow & { outcome: string }>({
      ...UPSERT_USER.plain,
      values,
      types: ROW_TYPES,
    });
    const [written] = rows as [UserRow & { outcome: string }];
    const answer = create(UpsertUserResponseSchema, { user: userOf(written), created: written.outcome === "created" });
    return toBinary(UpsertUserResponseSchema, answer);
  };
}

export const row: CallRow<World> = {
  about: "UpsertUser with its event and audit entry",
  floor: "a hand-written handler and the same named statement",
  async setUp({ projectId, accessKey, makeUsers }) {
    await makeUsers(UNCHANGED + CHANGED);
    return { projectId, accessKey };
  },
  cases: [caseOf("new", NEW, 1.6), caseOf("changed", CHANGE, 1.6), caseOf("unchanged", SAME, 1.4)],
};
