import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SetPresenceRequestSchema, SetPresenceResponseSchema } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { SET_STATEMENT } from "../../src/presence/postgres/statements.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools } from "../harness/row.ts";

interface World {
  readonly projectId: string;
  readonly accessKey: string;
  readonly users: readonly { readonly id: string; readonly externalId: string }[];
}

const common = {
  call: ({ accessKey, users }: World) =>
    grpcCall({
      path: "/muster.v1.PresenceService/SetPresence",
      credential: accessKey,
      input: SetPresenceRequestSchema,
      output: SetPresenceResponseSchema,
      request: (n) =>
        create(SetPresenceRequestSchema, {
          ref: { ref: { case: "id", value: users[n % users.length]?.id ?? "" } },
          presence: { status: "online", message: `message ${n}` },
        }),
      comparable({ presence }) {
        if (!presence?.sinceTime || presence.revision === 0n) throw new Error("no presence");
        const { userId, externalId, status, message, step } = presence;
        return create(SetPresenceResponseSchema, { presence: { userId, externalId, status, message, step } });
      },
    }),
};

const UNARY: CallCase<World> = {
  ...common,
  name: "unary",
  concurrency: [32],
  floor(world) {
    const answer = createAnswer(world);
    return (message) => answer(message, Date.now() * 1_000);
  },
  target: { ratioAtMost: 1.4 },
};

const BESIDE_NOTIFY: CallCase<World> = {
  ...common,
  name: "beside NOTIFY per set",
  concurrency: [16],
  floor: notifyFloor,
  throughputTarget: { ratioAtLeast: 10 },
};

/** Takes the revision, in microseconds since the epoch, from elsewhere. */
function createAnswer({ users }: World) {
  const externalIds = new Map(users.map(({ id, externalId }) => [id, externalId]));
  return (encoded: Uint8Array, revision: number): Uint8Array => {
    const { ref, presence: wanted } = fromBinary(SetPresenceRequestSchema, encoded);
    const userId = String(ref?.ref.value);
    const { status = "", message = "" } = wanted ?? {};
    const sinceTime = timestampFromMs(Math.floor(revision / 1_000));
    const presence = { userId, externalId: externalIds.get(userId) ?? "", status, message, sinceTime };
    const answer = { presence: { ...presence, revision: BigInt(revision) } };
    return toBinary(SetPresenceResponseSchema, create(SetPresenceResponseSchema, answer));
  };
}

/** The subject's own statement, for one user at a time: each set is a commit with a notification. */
function notifyFloor(world: World, { pool }: FloorTools): FloorHandler {
  const answer = createAnswer(world);
  return async (message) => {
    const { ref, presence } = fromBinary(SetPresenceRequestSchema, message);
    const chain = JSON.stringify([{ status: presence?.status, message: presence?.message }]);
    const values = [[world.projectId], [ref?.ref.value], [chain], [null], [null]];
    const { rows } = await pool.query<{ rev: string }>({ ...SET_STATEMENT, values });
    return answer(message, Number(rows[0]?.rev));
  };
}

export const row: CallRow<World> = {
  about: "SetPresence by the user's id",
  floor: "a hand-written handler without a database; and one that notifies for each set",
  async setUp({ projectId, accessKey, makeUsers }) {
    const users = (await makeUsers(1_000)).map(({ id, externalId }) => ({ id, externalId }));
    return { projectId, accessKey, users };
  },
  cases: [UNARY, BESIDE_NOTIFY],
};
