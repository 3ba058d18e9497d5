import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../src/clock.ts";
import type { User } from "../../src/gen/muster/v1/user_pb.ts";
import {
  BatchUpsertUsersRequestSchema,
  BatchUpsertUsersResponseSchema,
  UpsertOutcome,
} from "../../src/gen/muster/v1/user_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { UPSERT_USERS } from "../../src/users/upsert-statements.ts";
import type { UserRow } from "../../src/users/user-statements.ts";
import { FLOOR_DETAILS, floorAct } from "../harness/floor-act.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools, Side } from "../harness/row.ts";
import { userNumber } from "../harness/tenant.ts";
import { BENCH_MASK, columnsOf, ROW_TYPES, userOf } from "../harness/user-floor.ts";

interface World {
  readonly projectId: string;
  readonly accessKey: string;
}

const SIZE = 1_000;

/** A hash that another system has kept: its checks are not what is measured. */
const HASH = "$2b$10$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

const caseOf = (
  name: string,
  created: boolean,
  userAt: (n: number, side: Side) => User,
  passwordHash = "",
): CallCase<World> => ({
  name,
  concurrency: [2],
  call: ({ accessKey }, side) =>
    grpcCall({
      path: "/muster.v1.UserService/BatchUpsertUsers",
      credential: accessKey,
      input: BatchUpsertUsersRequestSchema,
      output: BatchUpsertUsersResponseSchema,
      request(batch) {
        const numbers = Array.from({ length: SIZE }, (_, i) => batch * SIZE + i);
        const users = numbers.map((n) => userAt(n, side));
        return create(BatchUpsertUsersRequestSchema, {
          users: users.map((user) => ({ externalId: user.externalId, user, passwordHash })),
        });
      },
      comparable({ results }) {
        const good = results.filter((it) => it.user && it.created === created).length;
        if (good !== SIZE)
          throw new Error(`${good} of ${SIZE} were upserted: ${results.find((it) => it.error)?.error?.message}`);
        return create(BatchUpsertUsersResponseSchema);
      },
    }),
  floor: batchFloor,
  target: { ratioAtMost: 2 },
});

function batchFloor({ projectId }: World, { pool }: FloorTools): FloorHandler {
  const newId = createIds(systemClock);
  return async (message) => {
    const { users } = fromBinary(BatchUpsertUsersRequestSchema, message);
    const hasPasswords = users[0]?.passwordHash !== "";
    const statement = hasPasswords ? UPSERT_USERS.withPasswords : UPSERT_USERS.plain;
    const now = systemClock.now();
    const records = users.map(({ externalId, user, passwordHash }) => ({
      id: newId(),
      external_id: externalId,
      event_id: newId(),
      ...(passwordHash && { password_hash: passwordHash }),
      ...columnsOf(user as User),
    }));
    const head = [projectId, BENCH_MASK, new Date(now), JSON.stringify(records), [], FLOOR_DETAILS];
    // When an end of access may be forgotten: nobody here had any.
    const values = [...head, ...(hasPasswords ? [new Date(now)] : []), floorAct("UserService/BatchUpsertUsers")];
    const { rows } = await pool.query<UserRow & { outcome: string }>({
      ...statement,
      values,
      types: ROW_TYPES,
    });
    const written = new Map(rows.map((it) => [it.externalId, it]));
    const results = users.map(({ externalId }) => {
      const it = written.get(externalId) as UserRow & { outcome: string };
      const outcome = it.outcome === "created" ? UpsertOutcome.CREATED : UpsertOutcome.UNCHANGED;
      return { user: userOf(it), created: it.outcome === "created", outcome };
    });
    return toBinary(BatchUpsertUsersResponseSchema, create(BatchUpsertUsersResponseSchema, { results }));
  };
}

export const row: CallRow<World> = {
  about: "BatchUpsertUsers of 1,000, with their events and audit entries",
  floor: "a hand-written handler and the same multi-row statement",
  async setUp({ projectId, accessKey, makeUsers }) {
    await makeUsers(SIZE);
    return { projectId, accessKey };
  },
  cases: [
    caseOf("new", true, (n, side) => ({
      ...userNumber(n),
      externalId: `${side}-${n}`,
      email: `${side}.${n}@example.com`,
    })),
    caseOf(
      "new, with hashes",
      true,
      (n, side) => ({ ...userNumber(n), externalId: `${side}-hashed-${n}`, email: `${side}.hashed.${n}@example.com` }),
      HASH,
    ),
    caseOf("unchanged", false, (n) => userNumber(n % SIZE)),
  ],
};
