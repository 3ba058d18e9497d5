import type { JsonObject } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Token } from "../../src/gen/muster/v1/token_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import type { TestApp } from "../support/start-app.ts";

export const alice = { ref: { case: "externalId", value: "alice" } } as const;
export const bob = { ref: { case: "externalId", value: "bob" } } as const;
export const me = { ref: { case: "me", value: true } } as const;
export const NO_ID = "00000000-0000-7000-8000-000000000000";

/** A project with alice and bob on its roll. */
export async function withUsers(app: Pick<TestApp, "project">) {
  const project = await app.project();
  const users = project.system(UserService);
  for (const externalId of ["alice", "bob"]) await users.upsertUser({ externalId });
  return { ...project, users, tokens: project.system(TokenService) };
}

/** What a token says. */
export const claimsOf = (signedToken: string): JsonObject =>
  JSON.parse(Buffer.from(signedToken.split(".")[1] ?? "", "base64url").toString()) as JsonObject;

/** What a call with the token comes to. */
export async function outcomeOf({ client }: Pick<TestApp, "client">, token: string): Promise<string> {
  const call = client(UserService, token).getUser({ ref: me });
  return call.then(
    () => "answered",
    () => reasonOf(call),
  );
}

/** What is told of a token, its times in seconds since the epoch and its life in seconds. */
export const told = (token: Token | undefined) => ({
  issued: token?.issueTime && timestampMs(token.issueTime) / 1_000,
  expires: token?.expireTime && timestampMs(token.expireTime) / 1_000,
  ttl: Number(token?.ttl?.seconds) + (token?.ttl?.nanos ?? 0) / 1e9,
  revoked: token?.revoked,
});
