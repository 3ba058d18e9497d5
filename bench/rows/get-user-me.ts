import { create } from "@bufbuild/protobuf";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { GetUserRequestSchema, GetUserResponseSchema } from "../../src/gen/muster/v1/user_service_pb.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow } from "../harness/row.ts";

/** A user, and what it calls with. */
interface Subject {
  readonly userId: string;
  readonly credential: string;
}

interface World {
  readonly accessKey: string;
  readonly byToken: Subject;
  readonly bySession: Subject;
}

const caseOf = (name: string, subjectOf: (world: World) => Subject): CallCase<World> => ({
  name,
  concurrency: [32],
  call(world, side) {
    const { userId, credential } = subjectOf(world);
    return grpcCall({
      path: "/muster.v1.UserService/GetUser",
      credential: side === "subject" ? credential : world.accessKey,
      input: GetUserRequestSchema,
      output: GetUserResponseSchema,
      distinct: 1,
      request: () =>
        create(GetUserRequestSchema, {
          ref: { ref: side === "subject" ? { case: "me", value: true } : { case: "id", value: userId } },
        }),
      comparable: (answer) => answer,
    });
  },
  target: { ratioAtMost: 1.15 },
});

export const row: CallRow<World> = {
  about: "GetUser of the caller itself by its JWT, seen before, and by its session token",
  floor: "the subject's own GetUser by id with an access key",
  async setUp({ accessKey, client, makeUsers }) {
    const [user] = await makeUsers(1_000);
    const userId = user?.id ?? "";
    const { signedToken } = await client(TokenService).issueToken({ ref: { ref: { case: "id", value: userId } } });
    const request = { login: "bench", password: "correct horse battery" };
    const { user: member, grant } = await client(SessionService).signUp(request);
    return {
      accessKey,
      byToken: { userId, credential: signedToken },
      bySession: { userId: member?.id ?? "", credential: grant?.sessionToken ?? "" },
    };
  },
  cases: [caseOf("JWT, warm", ({ byToken }) => byToken), caseOf("session", ({ bySession }) => bySession)],
};
