import { createPrivateKey, type JsonWebKey, sign } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { systemClock } from "../../src/clock.ts";
import { IssueTokenRequestSchema, IssueTokenResponseSchema } from "../../src/gen/muster/v1/token_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { FIND_HOLDER, STORE_TOKEN } from "../../src/tokens/issue-token.ts";
import type { TokenSource } from "../harness/access-token.ts";
import { floorAct } from "../harness/floor-act.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools } from "../harness/row.ts";

interface World extends TokenSource {
  readonly accessKey: string;
  readonly users: readonly { readonly id: string }[];
}

const LIFE_MS = 24 * 3_600_000;
const HEADERS = ["authorization", "x-muster-token"];
const COOKIES = ["__Host-muster-session"];

const caseOf = (name: string, stateless: boolean, ratioAtMost: number): CallCase<World> => ({
  name,
  concurrency: [32],
  call: ({ accessKey, users }) =>
    grpcCall({
      path: "/muster.v1.TokenService/IssueToken",
      credential: accessKey,
      input: IssueTokenRequestSchema,
      output: IssueTokenResponseSchema,
      distinct: users.length,
      request: (n) =>
        create(IssueTokenRequestSchema, { ref: { ref: { case: "id", value: users[n]?.id ?? "" } }, stateless }),
      comparable({ signedToken, token, supportedHeaders, supportedCookies }) {
        if (!token || signedToken.split(".").length !== 3) throw new Error("not a token");
        return create(IssueTokenResponseSchema, {
          supportedHeaders,
          supportedCookies,
          token: { userId: token.userId },
        });
      },
    }),
  floor: (world, tools) => issueFloor(world, tools, stateless),
  target: { ratioAtMost },
});

interface Holder {
  readonly externalId: string;
}

function issueFloor(world: World, { pool }: FloorTools, stateless: boolean): FloorHandler {
  const newId = createIds(systemClock);
  const signed = createSign(world);
  return async (message) => {
    const userId = String(fromBinary(IssueTokenRequestSchema, message).ref?.ref.value);
    const iat = Math.floor(Date.now() / 1_000);
    const exp = iat + LIFE_MS / 1_000;
    const id = newId();
    const holder = [world.projectId, userId, new Date(), new Date(iat * 1_000), world.kid];
    const kept = [id, LIFE_MS, null, floorAct("TokenService/IssueToken")];
    const { rows } = stateless
      ? await pool.query<Holder>({ ...FIND_HOLDER.id, values: holder })
      : await pool.query<Holder>({ ...STORE_TOKEN.id, values: [...holder, ...kept] });
    const signedToken = signed({ sub: userId, iat, exp, jti: id, ext: rows[0]?.externalId });
    const issueTime = timestampFromMs(iat * 1_000);
    const expireTime = timestampFromMs(exp * 1_000);
    const token = { id, userId, issueTime, expireTime, ttl: durationFromMs(exp * 1_000 - Date.now()) };
    const answer = { signedToken, token, supportedHeaders: HEADERS, supportedCookies: COOKIES };
    return toBinary(IssueTokenResponseSchema, create(IssueTokenResponseSchema, answer));
  };
}

function createSign({ issuer, projectId, kid, jwk }: TokenSource) {
  const key = createPrivateKey({ key: jwk as JsonWebKey, format: "jwk" });
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const header = part({ typ: "at+jwt", alg: "EdDSA", kid });
  return (claims: object): string => {
    const text = `${header}.${part({ iss: issuer, aud: projectId, ...claims })}`;
    return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
  };
}

export const row: CallRow<World> = {
  about: "IssueToken (Ed25519) by the user's id",
  floor:
    "a hand-written handler, the same named statement, which finds the user and, if the token is stored, keeps it with its audit entry, and node:crypto sign",
  async setUp({ issuer, projectId, accessKey, makeUsers, signingKey }) {
    const users = (await makeUsers(1_000)).map(({ id }) => ({ id }));
    return { issuer, projectId, accessKey, users, ...(await signingKey()) };
  },
  cases: [caseOf("stateless", true, 1.3), caseOf("stored", false, 1.5)],
};
