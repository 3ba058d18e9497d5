import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  RefreshOutcome,
  RefreshTokenRequestSchema,
  RefreshTokenResponseSchema,
} from "../../src/gen/muster/v1/token_service_pb.ts";
import { parseRefreshToken, refreshToken } from "../../src/sessions/session-tokens.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallRow, FloorHandler, FloorTools, Side } from "../harness/row.ts";
import type { SeededSession } from "../harness/tenant.ts";

interface World {
  readonly projectId: string;
  readonly accessKey: string;
  readonly sessions: readonly SeededSession[];
}

/** Of each side: so many that no token is used before the one before it has its answer. */
const SESSIONS = 1_000;

const sessionsOf = ({ sessions }: World, side: Side) =>
  side === "subject" ? sessions.slice(0, SESSIONS) : sessions.slice(SESSIONS);

const UPDATE = {
  name: "bench_refresh",
  text: `update sessions set refresh_counter = refresh_counter + 1, refresh_rotate_time = now()
    where project_id = $1 and id = $2 and refresh_counter = $3 returning *`,
};

const ROTATED = toBinary(
  RefreshTokenResponseSchema,
  create(RefreshTokenResponseSchema, { outcome: RefreshOutcome.ROTATED }),
);

function floor({ projectId }: World, { pool }: FloorTools): FloorHandler {
  return async (message) => {
    const parsed = parseRefreshToken(fromBinary(RefreshTokenRequestSchema, message).refreshToken);
    const { rowCount } = await pool.query({ ...UPDATE, values: [projectId, parsed?.sessionId, parsed?.counter] });
    if (rowCount !== 1) throw new Error("the token was used");
    return ROTATED;
  };
}

export const row: CallRow<World> = {
  about: "RefreshToken, each token used once",
  floor: "a hand-written handler, one update … returning",
  async setUp({ projectId, accessKey, signInGuests }) {
    return { projectId, accessKey, sessions: await signInGuests(2 * SESSIONS) };
  },
  cases: [
    {
      name: "",
      concurrency: [32],
      call(world, side) {
        const sessions = sessionsOf(world, side);
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
      target: { ratioAtMost: 1.8 },
    },
  ],
};
