import { randomBytes } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  RefreshOutcome,
  RefreshTokenRequestSchema,
  RefreshTokenResponseSchema,
} from "../../src/gen/muster/v1/token_service_pb.ts";
import { READ_FAMILY, ROTATE } from "../../src/sessions/session-statements.ts";
import { parseRefreshToken, refreshToken } from "../../src/sessions/session-tokens.ts";
import { createAccessTokens, type TokenSource } from "../harness/access-token.ts";
import { floorAct } from "../harness/floor-act.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools, Side, Target } from "../harness/row.ts";
import type { SeededSession } from "../harness/tenant.ts";

interface World extends TokenSource {
  readonly accessKey: string;
  readonly sessions: readonly SeededSession[];
}

/** Of each side: so many that no token is used before the one before it has its answer. */
const SESSIONS = 1_000;

const sessionsOf = ({ sessions }: World, caseIndex: number, side: Side) => {
  const first = (2 * caseIndex + (side === "subject" ? 0 : 1)) * SESSIONS;
  return sessions.slice(first, first + SESSIONS);
};

interface Family {
  readonly userId: string;
  readonly externalId: string;
}

const DAY_MS = 86_400_000;

const UPDATE = {
  name: "bench_refresh",
  text: `update sessions set refresh_counter = refresh_counter + 1, refresh_rotate_time = now()
    where project_id = $1 and id = $2 and refresh_counter = $3 returning *`,
};

const ROTATED = toBinary(
  RefreshTokenResponseSchema,
  create(RefreshTokenResponseSchema, { outcome: RefreshOutcome.ROTATED }),
);

function leastFloor({ projectId }: World, { pool }: FloorTools): FloorHandler {
  return async (message) => {
    const parsed = parseRefreshToken(fromBinary(RefreshTokenRequestSchema, message).refreshToken);
    const { rowCount } = await pool.query({ ...UPDATE, values: [projectId, parsed?.sessionId, parsed?.counter] });
    if (rowCount !== 1) throw new Error("the token was used");
    return ROTATED;
  };
}

/** By the subject's statements, which read the family and write the audit entry, and with all that a grant holds. */
function sameFloor(world: World, { pool }: FloorTools): FloorHandler {
  const { projectId } = world;
  const signed = createAccessTokens(world);
  return async (message) => {
    const parsed = parseRefreshToken(fromBinary(RefreshTokenRequestSchema, message).refreshToken);
    const { sessionId = "", counter = 0 } = parsed ?? {};
    const found = await pool.query<Family>({ ...READ_FAMILY, values: [projectId, sessionId] });
    const { userId } = found.rows[0] as Family;
    const now = Date.now();
    const [end, last] = [new Date(now + DAY_MS), new Date(now + 30 * DAY_MS)];
    const ends = [randomBytes(32), end, last, floorAct("TokenService/RefreshToken")];
    const values = [projectId, sessionId, userId, new Date(now), counter, last, ...ends];
    const { rows } = await pool.query<Family & { sessionId: string | null }>({ ...ROTATE, values });
    if (!rows[0]?.sessionId) throw new Error("the token was used");
    const accessToken = signed({ id: userId, externalId: rows[0].externalId });
    const next = randomBytes(57).toString("base64url");
    const answer = {
      outcome: RefreshOutcome.ROTATED,
      user: { id: userId },
      grant: { accessToken, refreshToken: next },
    };
    return toBinary(RefreshTokenResponseSchema, create(RefreshTokenResponseSchema, answer));
  };
}

function caseOf(
  name: string,
  caseIndex: number,
  floor: NonNullable<CallCase<World>["floor"]>,
  target?: Target,
): CallCase<World> {
  return {
    name,
    concurrency: [32],
    call(world, side) {
      const sessions = sessionsOf(world, caseIndex, side);
      return grpcCall({
        path: "/muster.v1.TokenService/RefreshToken",
        credential: world.accessKey,
        input: RefreshTokenRequestSchema,
        output: RefreshTokenResponseSchema,
        request(n) {
          const { sessionId, seed } = sessions[n % SESSIONS] as SeededSession;
          const token = refreshToken(Buffer.from(seed, "base64"), sessionId, Math.floor(n / SESSIONS));
          return create(RefreshTokenRequestSchema, { refreshToken: token });
        },
        comparable({ outcome }) {
          if (outcome !== RefreshOutcome.ROTATED) throw new Error("the token was used");
          return create(RefreshTokenResponseSchema, { outcome });
        },
      });
    },
    floor,
    ...(target && { target }),
  };
}

export const row: CallRow<World> = {
  about: "RefreshToken, each token used once",
  floor:
    "a hand-written handler, one update … returning; for the same work, the subject's two statements, audit entry included, node:crypto sign, and the ids and tokens of the answer",
  async setUp({ issuer, projectId, accessKey, signInGuests, signingKey }) {
    return { issuer, projectId, accessKey, sessions: await signInGuests(4 * SESSIONS), ...(await signingKey()) };
  },
  cases: [caseOf("", 0, leastFloor, { ratioAtMost: 1.8 }), caseOf("beside the same work", 1, sameFloor)],
};
