import { hash, randomBytes } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { systemClock } from "../../src/clock.ts";
import {
  CreateSessionRequestSchema,
  CreateSessionResponseSchema,
  SessionService,
} from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { CREATE_SESSION } from "../../src/sessions/session-statements.ts";
import { FIND_PASSWORD } from "../../src/users/passwords/password-statements.ts";
import { createAccessTokens, type TokenSource } from "../harness/access-token.ts";
import { floorAct } from "../harness/floor-act.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools, Target } from "../harness/row.ts";
import { SOME_HASH } from "../harness/some-hash.ts";

interface World extends TokenSource {
  readonly accessKey: string;
}

const USERS = 1_000;
const AT_ONCE = 50;

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

function loginOf(message: Uint8Array): string {
  const { credential } = fromBinary(CreateSessionRequestSchema, message);
  return credential.case === "password" ? String(credential.value.identifier.value) : "";
}

function leastFloor({ projectId }: World, { pool }: FloorTools): FloorHandler {
  const made = pool.query(MAKE);
  return async (message) => {
    await made;
    const { rows } = await pool.query<{ id: string }>({ ...FIND, values: [projectId, loginOf(message)] });
    const id = rows[0]?.id;
    if (!id) throw new Error("nobody has the login");
    await pool.query({ ...KEEP, values: [projectId, id, crypto.getRandomValues(Buffer.alloc(32))] });
    return toBinary(CreateSessionResponseSchema, create(CreateSessionResponseSchema, { user: { id } }));
  };
}

interface Found {
  readonly userId: string;
  readonly passwordId: string;
}

const DAY_MS = 86_400_000;

/** By the subject's statements, with event and audit entry, and with all that a grant holds. */
function sameFloor(world: World, { pool }: FloorTools): FloorHandler {
  const newId = createIds(systemClock);
  const signed = createAccessTokens(world);
  const { projectId } = world;
  return async (message) => {
    const now = Date.now();
    const time = new Date(now);
    const found = await pool.query<Found>({ ...FIND_PASSWORD.login, values: [projectId, loginOf(message), time] });
    const { userId, passwordId } = found.rows[0] as Found;
    const [session, refresh] = [randomBytes(32), randomBytes(57)];
    const last = new Date(now + 30 * DAY_MS);
    const kept = [newId(), "", "", refresh, hash("sha256", session, "buffer")];
    const ends = [new Date(now + DAY_MS), last, last, last, last];
    const values = [
      projectId,
      userId,
      time,
      ...kept,
      ...ends,
      newId(),
      passwordId,
      floorAct("SessionService/CreateSession"),
    ];
    const { rows } = await pool.query<{ externalId: string }>({ ...CREATE_SESSION, values });
    const accessToken = signed({ id: userId, externalId: rows[0]?.externalId ?? "" });
    const tokens = { sessionToken: session.toString("base64url"), refreshToken: refresh.toString("base64url") };
    const answer = { user: { id: userId }, grant: { accessToken, ...tokens } };
    return toBinary(CreateSessionResponseSchema, create(CreateSessionResponseSchema, answer));
  };
}

/** Signs a user in. */
const signIn = (n: number) =>
  create(CreateSessionRequestSchema, {
    credential: {
      case: "password",
      value: { identifier: { case: "login", value: `login-${n}-user` }, password: "right horse staple" },
    },
  });

const caseOf = (name: string, floor: NonNullable<CallCase<World>["floor"]>, target?: Target): CallCase<World> => ({
  name,
  concurrency: [32],
  call: ({ accessKey }) =>
    grpcCall({
      path: "/muster.v1.SessionService/CreateSession",
      credential: accessKey,
      input: CreateSessionRequestSchema,
      output: CreateSessionResponseSchema,
      request: (n) => signIn(n % USERS),
      comparable: ({ user }) => create(CreateSessionResponseSchema, { user: { id: user?.id ?? "" } }),
    }),
  floor,
  ...(target && { target }),
});

export const row: CallRow<World> = {
  about: "CreateSession by login and password, hashing and limits of attempts excluded",
  floor:
    "a hand-written handler, a select and an insert; for the same work, the subject's two statements, event and audit entry included, node:crypto sign, and the ids and tokens of the answer",
  muster: { withoutHashing: true },
  async setUp({ issuer, projectId, accessKey, client, signingKey }) {
    const users = Array.from({ length: USERS }, (_, n) => ({
      externalId: `user-${n}`,
      user: { login: `login-${n}-user` },
      passwordHash: SOME_HASH,
    }));
    await client(UserService).batchUpsertUsers({ users });
    // The first sign-in by a hash from elsewhere keeps another one.
    for (let first = 0; first < USERS; first += AT_ONCE)
      await Promise.all(
        Array.from({ length: AT_ONCE }, (_, n) => client(SessionService).createSession(signIn(first + n))),
      );
    return { issuer, projectId, accessKey, ...(await signingKey()) };
  },
  cases: [caseOf("", leastFloor, { ratioAtMost: 2 }), caseOf("beside the same work", sameFloor)],
};
