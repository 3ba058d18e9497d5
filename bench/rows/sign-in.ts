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
import type { CallRow, FloorHandler, FloorTools } from "../harness/row.ts";
import { SOME_HASH } from "../harness/some-hash.ts";

interface World extends TokenSource {
  readonly accessKey: string;
}

const USERS = 1_000;
const AT_ONCE = 50;

interface Found {
  readonly userId: string;
  readonly passwordId: string;
}

const DAY_MS = 86_400_000;

function floor(world: World, { pool }: FloorTools): FloorHandler {
  const newId = createIds(systemClock);
  const signed = createAccessTokens(world);
  const { projectId } = world;
  return async (message) => {
    const { credential } = fromBinary(CreateSessionRequestSchema, message);
    const login = credential.case === "password" ? credential.value.identifier.value : "";
    const now = Date.now();
    const time = new Date(now);
    const found = await pool.query<Found>({ ...FIND_PASSWORD.login, values: [projectId, login, time] });
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

export const row: CallRow<World> = {
  about: "CreateSession by login and password, hashing and limits of attempts excluded",
  floor:
    "a hand-written handler, the same two named statements, event and audit entry included, node:crypto sign, and the ids and tokens of the answer",
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
          request: (n) => signIn(n % USERS),
          comparable: ({ user }) => create(CreateSessionResponseSchema, { user: { id: user?.id ?? "" } }),
        });
      },
      floor,
      target: { ratioAtMost: 2 },
    },
  ],
};
