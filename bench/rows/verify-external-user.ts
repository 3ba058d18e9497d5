import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ExternalAuthService,
  VerifyExternalUserRequestSchema,
  VerifyExternalUserResponseSchema,
} from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { grpcCall } from "../harness/grpc-call.ts";
import type { CallCase, CallRow, FloorHandler, FloorTools } from "../harness/row.ts";
import type { Tenant } from "../harness/tenant.ts";

/** All that external keys may have. */
const ALGORITHMS = ["EdDSA", "ES256", "ES384", "ES512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] as const;
type Algorithm = (typeof ALGORITHMS)[number];

/** A project whose own system signs by one algorithm. */
interface Signer {
  readonly projectId: string;
  readonly privateJwk: JsonWebKey;
}

type World = Readonly<Record<Algorithm, Signer>>;

const USERS = 200;
const CURVES: Readonly<Record<string, string>> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

function newKey(algorithm: Algorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  const namedCurve = CURVES[algorithm];
  if (namedCurve) return generateKeyPairSync("ec", { namedCurve });
  return algorithm === "EdDSA" ? generateKeyPairSync("ed25519") : generateKeyPairSync("rsa", { modulusLength: 2_048 });
}

/** What node:crypto signs and verifies a JWS by (RFC 7518 §3, RFC 8037 §3.1). */
function schemeOf(algorithm: Algorithm, key: KeyObject) {
  const bits = algorithm.slice(2);
  const pss = { padding: 6, saltLength: Number(bits) / 8 };
  const options = { key, dsaEncoding: "ieee-p1363", ...(algorithm.startsWith("PS") && pss) } as const;
  return { digest: algorithm === "EdDSA" ? null : `sha${bits}`, options };
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** A JWT of a user who is as the JWT says: nothing has to be written. */
function jwtOf(algorithm: Algorithm, { projectId, privateJwk }: Signer, n: number): string {
  const { digest, options } = schemeOf(algorithm, createPrivateKey({ key: privateJwk, format: "jwk" }));
  const iat = Math.floor(Date.now() / 1_000);
  const userData = { name: `User Number ${n}`, email: `user.${n}@example.com`, metadata: { plan: "free", seats: 5 } };
  const claims = { iss: projectId, sub: `user-${n}`, iat, exp: iat + 3_600, userData };
  const signed = `${part({ alg: algorithm, typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${sign(digest, Buffer.from(signed), options).toString("base64url")}`;
}

async function signerIn(tenant: Tenant, algorithm: Algorithm): Promise<Signer> {
  const { publicKey, privateKey } = newKey(algorithm);
  const service = tenant.client(ExternalAuthService);
  const pem = String(publicKey.export({ format: "pem", type: "spki" }));
  await service.rotateExternalKey({ key: { case: "publicKeyPem", value: pem }, algorithm });
  const signer = { projectId: tenant.projectId, privateJwk: privateKey.export({ format: "jwk" }) };
  for (let n = 0; n < USERS; n++) await service.verifyExternalUser({ userJwt: jwtOf(algorithm, signer, n) });
  return signer;
}

const FIND = {
  name: "bench_external_find",
  text: "select id, external_id, name, email, metadata from users where project_id = $1 and external_id = $2",
};

/** What a sign-in leaves is a row: here, the least one. */
const KEEP = {
  name: "bench_external_keep",
  text: "insert into bench_sessions (project_id, user_id, token_digest) values ($1, $2, sha256($3::bytea))",
};

const MAKE = `create table if not exists bench_sessions (
  project_id uuid not null, user_id uuid not null, token_digest bytea not null, primary key (project_id, token_digest))`;

function floorOf(algorithm: Algorithm, { projectId, privateJwk }: Signer, { pool }: FloorTools): FloorHandler {
  const key = createPublicKey(createPrivateKey({ key: privateJwk, format: "jwk" }));
  const { digest, options } = schemeOf(algorithm, key);
  const made = pool.query(MAKE).catch(() => undefined);
  return async (message) => {
    const [header = "", payload = "", signature = ""] = fromBinary(
      VerifyExternalUserRequestSchema,
      message,
    ).userJwt.split(".");
    if (!verify(digest, Buffer.from(`${header}.${payload}`), options, Buffer.from(signature, "base64url")))
      throw new Error("the signature is wrong");
    const { sub } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { sub: string };
    await made;
    const { rows } = await pool.query<{ id: string }>({ ...FIND, values: [projectId, sub] });
    const id = rows[0]?.id;
    if (!id) throw new Error("nobody has the external id");
    await pool.query({ ...KEEP, values: [projectId, id, crypto.getRandomValues(Buffer.alloc(32))] });
    return toBinary(VerifyExternalUserResponseSchema, create(VerifyExternalUserResponseSchema, { user: { id } }));
  };
}

const caseOf = (algorithm: Algorithm): CallCase<World> => ({
  name: algorithm,
  concurrency: [32],
  call({ [algorithm]: signer }) {
    return grpcCall({
      path: "/muster.v1.ExternalAuthService/VerifyExternalUser",
      input: VerifyExternalUserRequestSchema,
      output: VerifyExternalUserResponseSchema,
      distinct: USERS,
      request: (n) =>
        create(VerifyExternalUserRequestSchema, { projectId: signer.projectId, userJwt: jwtOf(algorithm, signer, n) }),
      comparable({ user, userCreated }) {
        if (userCreated) throw new Error("the user was not known");
        return create(VerifyExternalUserResponseSchema, { user: { id: user?.id ?? "" } });
      },
    });
  },
  floor: ({ [algorithm]: signer }, tools) => floorOf(algorithm, signer, tools),
  target: { ratioAtMost: 1.5 },
});

export const row: CallRow<World> = {
  about: "VerifyExternalUser of known users whose profile is as the JWT says, by the algorithm of the key",
  floor: "a hand-written handler, node:crypto verify, a select and an insert",
  async setUp(tenant) {
    const signers = ALGORITHMS.map(async (algorithm) => {
      using own = await tenant.another();
      return [algorithm, await signerIn(own, algorithm)] as const;
    });
    return Object.fromEntries(await Promise.all(signers)) as World;
  },
  cases: ALGORITHMS.map(caseOf),
};
