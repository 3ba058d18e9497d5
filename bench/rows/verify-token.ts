import { createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { VerifyTokenRequestSchema, VerifyTokenResponseSchema } from "../../src/gen/muster/v1/token_service_pb.ts";
import { type User, UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import { GET_USER, type UserRow } from "../../src/users/user-statements.ts";
import { createAccessTokens, type TokenSource } from "../harness/access-token.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools, Target } from "../harness/row.ts";
import { ROW_TYPES, userOf } from "../harness/user-floor.ts";

interface World extends TokenSource {
  readonly accessKey: string;
  /** Encoded. */
  readonly users: readonly Uint8Array[];
}

const USERS = 1_000;
/** So many tokens are warm: fewer than the subject remembers. */
const WARM = 1_000;

const caseOf = (
  name: string,
  distinct: number | undefined,
  floor: (world: World, tools: FloorTools) => FloorHandler,
  target?: Target,
): CallCase<World> => ({
  name,
  concurrency: [32],
  call(world) {
    const tokenOf = createAccessTokens(world);
    const users = usersOf(world);
    return grpcCall({
      path: "/muster.v1.TokenService/VerifyToken",
      credential: world.accessKey,
      input: VerifyTokenRequestSchema,
      output: VerifyTokenResponseSchema,
      ...(distinct && { distinct }),
      request: (n) => create(VerifyTokenRequestSchema, { token: tokenOf(users[n % users.length] as User) }),
      comparable({ active, reason, user }) {
        if (!active) throw new Error(`the token is not active: ${reason}`);
        return create(VerifyTokenResponseSchema, { active, ...(user && { user }) });
      },
    });
  },
  floor,
  ...(target && { target }),
});

const usersOf = ({ users }: World): User[] => users.map((bytes) => fromBinary(UserSchema, bytes));

interface Claims {
  readonly sub: string;
  readonly jti: string;
  readonly iat: number;
  readonly exp: number;
}

type Answer = (claims: Claims) => Uint8Array | Promise<Uint8Array>;

function encoded({ sub, jti, iat, exp }: Claims, user: MessageInitShape<typeof UserSchema>): Uint8Array {
  const [issuedAt, expiresAt] = [iat * 1_000, exp * 1_000];
  const token = {
    id: jti,
    userId: sub,
    issueTime: timestampFromMs(issuedAt),
    expireTime: timestampFromMs(expiresAt),
    ttl: durationFromMs(expiresAt - Date.now()),
  };
  return toBinary(VerifyTokenResponseSchema, create(VerifyTokenResponseSchema, { active: true, token, user }));
}

/** Answers for a token; the users are in memory. */
function fromMemory(world: World): Answer {
  const users = new Map(usersOf(world).map((user) => [user.id, user]));
  return (claims) => encoded(claims, users.get(claims.sub) as User);
}

/** Answers for a token, with its user as it is now. */
function fromDatabase({ projectId }: World, { pool }: FloorTools): Answer {
  return async (claims) => {
    const values = [projectId, claims.sub];
    const { rows } = await pool.query<UserRow>({ ...GET_USER.id, values, types: ROW_TYPES });
    return encoded(claims, userOf(rows[0] as UserRow));
  };
}

function verifyWith({ jwk }: TokenSource) {
  const key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
  return (token: string): Claims => {
    const [header = "", payload = "", signature = ""] = token.split(".");
    if (!verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, "base64url")))
      throw new Error("the signature is wrong");
    return JSON.parse(Buffer.from(payload, "base64url").toString()) as Claims;
  };
}

type Floor = (createAnswer: (world: World, tools: FloorTools) => Answer) => NonNullable<CallCase<World>["floor"]>;

const coldFloor: Floor = (createAnswer) => (world, tools) => {
  const [check, answer] = [verifyWith(world), createAnswer(world, tools)];
  return (message) => answer(check(fromBinary(VerifyTokenRequestSchema, message).token));
};

const warmFloor: Floor = (createAnswer) => (world, tools) => {
  const [check, answer] = [verifyWith(world), createAnswer(world, tools)];
  const known = new Map<string, Claims>();
  return (message) => {
    const { token } = fromBinary(VerifyTokenRequestSchema, message);
    const claims = known.get(token) ?? check(token);
    known.set(token, claims);
    return answer(claims);
  };
};

const TARGET: Target = { ratioAtMost: 1.3 };

export const row: CallRow<World> = {
  about: "VerifyToken of stateless Ed25519 tokens with an access key, which gives the user as it is now",
  floor:
    "a hand-written handler, users and warm tokens in memory, and node:crypto verify for cold ones; for the same work, one named select of the user",
  async setUp({ issuer, projectId, accessKey, makeUsers, signingKey }) {
    const users = (await makeUsers(USERS)).map((user) => toBinary(UserSchema, user));
    return { issuer, projectId, accessKey, users, ...(await signingKey()) };
  },
  cases: [
    caseOf("cold", undefined, coldFloor(fromMemory), TARGET),
    caseOf("warm", WARM, warmFloor(fromMemory), TARGET),
    caseOf("cold, beside the same work", undefined, coldFloor(fromDatabase)),
    caseOf("warm, beside the same work", WARM, warmFloor(fromDatabase)),
  ],
};
