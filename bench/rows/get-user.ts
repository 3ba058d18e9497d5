import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { GetUserRequestSchema, GetUserResponseSchema, UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { KEYS } from "../../src/users/user-key.ts";
import { GET_USER, type UserRow } from "../../src/users/user-statements.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow } from "../harness/row.ts";
import { ROW_TYPES, userOf } from "../harness/user-floor.ts";

type By = "id" | "externalId" | "login" | "email" | "phone";

interface World {
  readonly projectId: string;
  readonly accessKey: string;
  readonly users: readonly Readonly<Record<By, string>>[];
}

/** Of so many users, every tenth is asked for. */
const USERS = 10_000;

const caseOf = (name: string, by: By): CallCase<World> => ({
  name,
  concurrency: [32],
  call: ({ accessKey, users }) =>
    grpcCall({
      path: "/muster.v1.UserService/GetUser",
      credential: accessKey,
      input: GetUserRequestSchema,
      output: GetUserResponseSchema,
      distinct: users.length,
      request: (n) => create(GetUserRequestSchema, { ref: { ref: { case: by, value: users[n]?.[by] ?? "" } } }),
      comparable: (answer) => answer,
    }),
  floor:
    ({ projectId }, { pool }) =>
    async (message) => {
      const ref = fromBinary(GetUserRequestSchema, message).ref?.ref;
      const key = KEYS[by].comparable(String(ref?.value));
      const { rows } = await pool.query<UserRow>({ ...GET_USER[by], values: [projectId, key], types: ROW_TYPES });
      return toBinary(GetUserResponseSchema, create(GetUserResponseSchema, { user: userOf(rows[0] as UserRow) }));
    },
  target: { ratioAtMost: 1.5 },
  latencyTarget: { ratioAtMost: 2 },
});

export const row: CallRow<World> = {
  about: "GetUser with an access key, of 10,000 users",
  floor: "a hand-written handler and the same named select",
  async setUp({ projectId, accessKey, client, makeUsers }) {
    const asked = (await makeUsers(USERS)).filter((_, n) => n % 10 === 0);
    const users = asked.map(({ externalId }, n) => ({
      externalId,
      user: { login: `login.${n}.user`, phone: `+49151${10_000_000 + n}` },
    }));
    const { results } = await client(UserService).batchUpsertUsers({ users });
    return {
      ...{ projectId, accessKey },
      users: results.map(({ user }) => {
        const { id = "", externalId = "", login = "", email = "", phone = "" } = user ?? {};
        return { id, externalId, login, email, phone };
      }),
    };
  },
  cases: [
    caseOf("by id", "id"),
    caseOf("by external_id", "externalId"),
    caseOf("by login", "login"),
    caseOf("by email", "email"),
    caseOf("by phone", "phone"),
  ],
};
