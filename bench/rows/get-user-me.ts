import { create } from "@bufbuild/protobuf";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { GetUserRequestSchema, GetUserResponseSchema } from "../../src/gen/muster/v1/user_service_pb.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallRow } from "../harness/row.ts";

interface World {
  readonly accessKey: string;
  readonly userId: string;
  readonly token: string;
}

export const row: CallRow<World> = {
  about: "GetUser of the caller itself by its JWT, seen before",
  floor: "the subject's own GetUser by id with an access key",
  async setUp({ accessKey, client, makeUsers }) {
    const [user] = await makeUsers(1_000);
    const userId = user?.id ?? "";
    const { signedToken } = await client(TokenService).issueToken({ ref: { ref: { case: "id", value: userId } } });
    return { accessKey, userId, token: signedToken };
  },
  cases: [
    {
      name: "warm",
      concurrency: [32],
      call: ({ accessKey, userId, token }, side) =>
        grpcCall({
          path: "/muster.v1.UserService/GetUser",
          credential: side === "subject" ? token : accessKey,
          input: GetUserRequestSchema,
          output: GetUserResponseSchema,
          distinct: 1,
          request: () =>
            create(GetUserRequestSchema, {
              ref: { ref: side === "subject" ? { case: "me", value: true } : { case: "id", value: userId } },
            }),
          comparable: (answer) => answer,
        }),
      target: { ratioAtMost: 1.15 },
    },
  ],
};
