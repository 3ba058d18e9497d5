import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { CreateSessionRequestSchema, CreateSessionResponseSchema } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallRow, FloorHandler, FloorTools } from "../harness/row.ts";
import { SOME_HASH } from "../harness/some-hash.ts";

interface World {
  readonly projectId: string;
  readonly accessKey: string;
}

const USERS = 1_000;

const FIND = {
  name: "bench_sign_in_find",
  text: `select u.id, u.external_id, u.name, p.id as password_id, p.phc from users u join passwords p
    on p.project_id = u.project_id and p.user_id = u.id where u.project_id = $1 and u.login_key = $2`,
};

/** What a sign-in leaves is a row: here, the least one. */
const KEEP = {
  name: "bench_sign_in_keep",
  text: "insert into bench_sessions (project_id, user_id, token_digest) values ($1, $2, sha256($3::bytea))",
};

const MAKE = `create table if not exists bench_sessions (
  project_id uuid not null, user_id uuid not null, token_digest bytea not null, primary key (project_id, token_digest))`;

function floor({ projectId }: World, { pool }: FloorTools): FloorHandler {
  const made = pool.query(MAKE);
  return async (message) => {
    const { credential } = fromBinary(CreateSessionRequestSchema, message);
    const login = credential.case === "password" ? credential.value.identifier.value : "";
    await made;
    const { rows } = await pool.query<{ id: string }>({ ...FIND, values: [projectId, login] });
    const id = rows[0]?.id;
    if (!id) throw new Error("nobody has the login");
    await pool.query({ ...KEEP, values: [projectId, id, crypto.getRandomValues(Buffer.alloc(32))] });
    return toBinary(CreateSessionResponseSchema, create(CreateSessionResponseSchema, { user: { id } }));
  };
}

export const row: CallRow<World> = {
  about: "CreateSession by login and password, hashing and limits of attempts excluded",
  floor: "a hand-written handler, a select and an insert",
  muster: { withoutHashing: true },
  async setUp({ projectId, accessKey, client }) {
    const users = Array.from({ length: USERS }, (_, n) => ({
      externalId: `user-${n}`,
      user: { login: `login-${n}-user` },
      passwordHash: SOME_HASH,
    }));
    await client(UserService).batchUpsertUsers({ users });
    return { projectId, accessKey };
  },
  cases: [
    {
      name: "",
      concurrency: [32],
      call({ accessKey }) {
        return grpcCall({
          path: "/muster.v1.SessionService/CreateSession",
          credential: accessKey,
          input: CreateSessionRequestSchema,
          output: CreateSessionResponseSchema,
          request: (n) =>
            create(CreateSessionRequestSchema, {
              credential: {
                case: "password",
                value: {
                  identifier: { case: "login", value: `login-${n % USERS}-user` },
                  password: "right horse staple",
                },
              },
            }),
          comparable: ({ user }) => create(CreateSessionResponseSchema, { user: { id: user?.id ?? "" } }),
        });
      },
      floor,
      target: { ratioAtMost: 2 },
    },
  ],
};
