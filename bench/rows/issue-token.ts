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
import type { CallCase, CallRow, FloorHandler, FloorTools, Target } from "../harness/row.ts";

interface World extends TokenSource {
  readonly accessKey: string;
  readonly users: readonly { readonly id: string; readonly externalId: string }[];
}

const LIFE_MS = 24 * 3_600_000;
const HEADERS = ["authorization", "x-muster-token"];
const COOKIES = ["__Host-muster-session"];

const caseOf = (name: string, stateless: boolean, keep: CreateKeep, target?: Target): CallCase<World> => ({
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
  floor: (world, tools) => issueFloor(world, keep(world, tools, stateless)),
  ...(target && { target }),
});

interface NewToken {
  readonly id: string;
  readonly userId: string;
  /** Whole seconds. */
  readonly iat: number;
}

/** Keeps a token, if it is to be kept, and gives the external id of its user. */
type Keep = (token: NewToken) => Promise<string | undefined>;
type CreateKeep = (world: World, tools: FloorTools, stateless: boolean) => Keep;

const STORE = {
  name: "bench_store_token",
  text: "insert into tokens (project_id, id, user_id, issue_time, expire_time) values ($1, $2, $3, $4, $5)",
};

/** One insert; the users are in memory. */
const leastKeep: CreateKeep = ({ projectId, users }, { pool }, stateless) => {
  const externalIds = new Map(users.map(({ id, externalId }) => [id, externalId]));
  return async ({ id, userId, iat }) => {
    const times = [iat * 1_000, iat * 1_000 + LIFE_MS].map((ms) => new Date(ms));
    if (!stateless) await pool.query({ ...STORE, values: [projectId, id, userId, ...times] });
    return externalIds.get(userId);
  };
};

interface Holder {
  readonly externalId: string;
}

/** The subject's statement, which looks for the user, and keeps the token with its audit entry. */
const sameKeep: CreateKeep = ({ projectId, kid }, { pool }, stateless) => {
  return async ({ id, userId, iat }) => {
    const holder = [projectId, userId, new Date(), new Date(iat * 1_000), kid];
    const kept = [id, LIFE_MS, null, floorAct("TokenService/IssueToken")];
    const { rows } = stateless
      ? await pool.query<Holder>({ ...FIND_HOLDER.id, values: holder })
      : await pool.query<Holder>({ ...STORE_TOKEN.id, values: [...holder, ...kept] });
    return rows[0]?.externalId;
  };
};

function issueFloor(world: World, keep: Keep): FloorHandler {
  const newId = createIds(systemClock);
  const signed = createSign(world);
  return async (message) => {
    const userId = String(fromBinary(IssueTokenRequestSchema, message).ref?.ref.value);
    const iat = Math.floor(Date.now() / 1_000);
    const exp = iat + LIFE_MS / 1_000;
    const id = newId();
    const ext = await keep({ id, userId, iat });
    const signedToken = signed({ sub: userId, iat, exp, jti: id, ext });
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
    "a hand-written handler, node:crypto sign, and one insert if the token is stored; for the same work, the subject's statement, which finds the user and writes the audit entry",
  async setUp({ issuer, projectId, accessKey, makeUsers, signingKey }) {
    const users = (await makeUsers(1_000)).map(({ id, externalId }) => ({ id, externalId }));
    return { issuer, projectId, accessKey, users, ...(await signingKey()) };
  },
  cases: [
    caseOf("stateless", true, leastKeep, { ratioAtMost: 1.3 }),
    caseOf("stored", false, leastKeep, { ratioAtMost: 1.5 }),
    caseOf("stateless, beside the same work", true, sameKeep),
    caseOf("stored, beside the same work", false, sameKeep),
  ],
};
