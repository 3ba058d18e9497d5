import { randomBytes, randomInt } from "node:crypto";
import { CompactSign, importJWK, type JWK } from "jose";
import { describe, expect, test } from "vitest";
import { createSealer } from "../../src/sealing.ts";
import { inspectToken } from "../../src/tokens/inspect-token.ts";
import { PUBLIC_URL, refusal, takeAway, tokensFixture, tokensOn } from "./tokens-fixture.ts";

const { db, clock, sealer, tokens, project, changeProject, user, deleteUser, issue } = await tokensFixture();
const projectId = await project();
const otherProjectId = await project();
const alice = await user(projectId, "alice");
const verify = (token: string) => tokens.verifier.verify(token);

interface StolenKey {
  readonly id: string;
  readonly alg: string;
  readonly privateJwk: JWK;
}

/** The project's own private key, to sign what the server never would. */
async function stolenKey(project: string): Promise<StolenKey> {
  const found = await db.pool.query("select * from signing_keys where project_id = $1 order by create_time desc", [
    project,
  ]);
  const { id, sealed_private_key } = found.rows[0];
  const secret = sealer.open(sealed_private_key, { purpose: "signing-key", projectId: project, id });
  return { id, alg: "EdDSA", privateJwk: JSON.parse(secret.toString()) as JWK };
}

const own = await stolenKey(projectId);
const other = await stolenKey(otherProjectId);

/** Claims as the server makes them, at the time the clock stands at. */
const goodClaims = () => ({
  iss: `${PUBLIC_URL}/projects/${projectId}`,
  sub: alice.id,
  aud: projectId,
  iat: Math.floor(clock.now() / 1_000),
  exp: Math.floor(clock.now() / 1_000) + 600,
  jti: "019e830e-1cef-7227-a35b-b585a4134528",
  ext: "alice",
});

async function forge(claims: object, header: object = {}, key: StolenKey = own): Promise<string> {
  const signer = new CompactSign(Buffer.from(JSON.stringify({ ...goodClaims(), ...claims })));
  signer.setProtectedHeader({ typ: "at+jwt", alg: key.alg, kid: key.id, ...header });
  return await signer.sign(await importJWK(key.privateJwk, key.alg));
}

describe("a token that passes", () => {
  test("tells all that it says", async () => {
    const { signedToken, token } = await issue(projectId, alice.id, { claims: { role: "admin" } });
    expect(await verify(signedToken)).toEqual({
      projectId,
      userId: alice.id,
      tokenId: token.tokenId,
      sessionId: undefined,
      keyId: (await tokens.keys.list(projectId))[0]?.id,
      externalId: "alice",
      issuedAt: token.issuedAt,
      expiresAt: token.expiresAt,
      audience: [projectId],
      claims: { ...goodClaims(), exp: token.expiresAt / 1_000, jti: token.tokenId, role: "admin" },
    });
  });

  test("passes again and again, and elsewhere, stored or stateless", async () => {
    const elsewhere = tokensOn(db, clock, sealer);
    for (const stateless of [true, false]) {
      const { signedToken } = await issue(projectId, alice.id, { stateless });
      for (const { verifier } of [tokens, tokens, elsewhere.tokens, elsewhere.tokens])
        expect(await verifier.verify(signedToken)).toMatchObject({ userId: alice.id });
    }
  });

  test("is one that another signer of the same claims could have made", async () => {
    expect(await refusal(verify(await forge({})))).toBe("none");
  });
});

const FORGERIES: [string, object, object?][] = [
  ["of another purpose", {}, { typ: "refresh+jwt" }],
  ["without typ", {}, { typ: undefined }],
  ["without kid", {}, { kid: undefined }],
  ["with a kid that is no id", {}, { kid: "../../etc/passwd" }],
  ["with a kid that nobody has", {}, { kid: "019e830e-1cef-7227-a35b-b585a4134528" }],
  ["with the key of another project", {}, { kid: other.id }],
  ["with a name of alg that the key is not bound to", {}, { alg: "Ed25519" }],
  ["with an extension, critical or not", {}, { crit: ["b64"], b64: true }],
  ["with a key of its own", {}, { jwk: { kty: "OKP", crv: "Ed25519", x: own.privateJwk.x } }],
  ["with an address of keys", {}, { jku: `${PUBLIC_URL}/projects/${projectId}/.well-known/jwks.json` }],
  ["of another instance", { iss: `https://evil.example/projects/${projectId}` }],
  ["of another project", { iss: `${PUBLIC_URL}/projects/${otherProjectId}` }],
  ["of no project", { iss: `${PUBLIC_URL}/projects/` }],
  ["of a project nobody has", { iss: `${PUBLIC_URL}/projects/019e830e-1cef-7227-a35b-b585a4134528` }],
  ["of a project in capitals", { iss: `${PUBLIC_URL}/projects/${projectId.toUpperCase()}` }],
  ["of the project and more", { iss: `${PUBLIC_URL}/projects/${projectId}/x` }],
  ["for another audience", { aud: "elsewhere" }],
  ["for nobody", { aud: undefined }],
  ["without jti", { jti: undefined }],
  ["with a jti that is no id", { jti: "1" }],
  ["without ext", { ext: undefined }],
  ["without iat", { iat: undefined }],
  ["without exp", { exp: undefined }],
  ["of .system", { sub: ".system" }],
  ["of an external id", { sub: "alice" }],
  ["that outlives the project's maximum", { exp: Math.floor(clock.now() / 1_000) + 31 * 86_400 }],
  ["from the future", { iat: Math.floor(clock.now() / 1_000) + 61 }],
];

describe("a token is refused", () => {
  test.each(FORGERIES)("%s", async (_name, claims, header) => {
    expect(await refusal(verify(await forge(claims, header)))).toBe("TOKEN_INVALID");
  });

  test("signed by the key of another project under the name of this one's", async () => {
    expect(await refusal(verify(await forge({}, { kid: own.id }, other)))).toBe("TOKEN_INVALID");
  });

  test("with the claims of one good token and the signature of another", async () => {
    const [one, two] = [await forge({}), await forge({ jti: "019e830e-1cef-7227-a35b-b585a4134529" })];
    const swapped = [...one.split(".").slice(0, 2), two.split(".")[2]].join(".");
    expect(await refusal(verify(swapped))).toBe("TOKEN_INVALID");
  });

  test("unsigned, or signed with the public key as a secret", async () => {
    const [, claims] = (await forge({})).split(".");
    const { rows } = await db.pool.query("select public_jwk from signing_keys where id = $1", [own.id]);
    const secret = Buffer.from(JSON.stringify(rows[0].public_jwk));
    const none = Buffer.from(JSON.stringify({ typ: "at+jwt", alg: "none", kid: own.id })).toString("base64url");
    expect(await refusal(verify(`${none}.${claims}.`))).toBe("TOKEN_INVALID");
    expect(await refusal(verify(`${none}.${claims}.AAAA`))).toBe("TOKEN_INVALID");
    const mac = new CompactSign(Buffer.from(JSON.stringify(goodClaims())));
    mac.setProtectedHeader({ typ: "at+jwt", alg: "HS256", kid: own.id });
    expect(await refusal(verify(await mac.sign(secret)))).toBe("TOKEN_INVALID");
  });

  test("if it says another alg than the key's, though the key could", async () => {
    const rsa = await project({ signingAlgorithm: "RS256" });
    const holder = await user(rsa);
    const key = { ...(await stolenKey(rsa)), alg: "PS256" };
    const claims = { iss: `${PUBLIC_URL}/projects/${rsa}`, aud: rsa, sub: holder.id };
    expect(await refusal(verify(await forge(claims, {}, { ...key, alg: "RS256" })))).toBe("none");
    expect(await refusal(verify(await forge(claims, {}, key)))).toBe("TOKEN_INVALID");
    expect(await refusal(verify(await forge(claims, {}, { ...key, alg: "RS512" })))).toBe("TOKEN_INVALID");
  });

  test("once its time is over, to the millisecond", async () => {
    const { signedToken, token } = await issue(projectId, alice.id, { ttlMs: 2_000 });
    clock.step(token.expiresAt - clock.now() - 1);
    expect(await refusal(verify(signedToken))).toBe("none");
    clock.step(1);
    expect(await refusal(verify(signedToken))).toBe("TOKEN_EXPIRED");
  });

  test("once the project allows no such long life", async () => {
    const id = await project({ tokenTtlMs: 3_600_000 });
    const holder = await user(id);
    const { signedToken } = await issue(id, holder.id);
    expect(await refusal(verify(signedToken))).toBe("none");
    await changeProject(id, { tokenTtlMs: 60_000, tokenTtlMaxMs: 60_000 });
    await clock.advance(501);
    expect(await refusal(verify(signedToken))).toBe("TOKEN_INVALID");
  });
});

describe("a token dies at once", () => {
  test.each([true, false])("with its user (stateless: %s)", async (stateless) => {
    const bob = await user(projectId, "bob");
    const { signedToken } = await issue(projectId, bob.id, { stateless });
    expect(await refusal(verify(signedToken))).toBe("none");
    await deleteUser(projectId, bob.id);
    expect(await refusal(verify(signedToken))).toBe("TOKEN_REVOKED");
    await user(projectId, "bob");
    expect(await refusal(verify(signedToken))).toBe("TOKEN_REVOKED");
    await db.pool.query("delete from users where external_id = 'bob'");
  });

  test("when its row is revoked, and no other with it", async () => {
    const [one, two] = [await issue(projectId, alice.id), await issue(projectId, alice.id)];
    expect(await refusal(verify(one.signedToken))).toBe("none");
    await db.pool.query("update tokens set revoke_time = now() where id = $1", [one.token.tokenId]);
    expect(await refusal(verify(one.signedToken))).toBe("TOKEN_REVOKED");
    expect(await refusal(verify(two.signedToken))).toBe("none");
  });

  test("with its project", async () => {
    const id = await project();
    const holder = await user(id);
    const { signedToken } = await issue(id, holder.id);
    await db.pool.query("delete from projects where id = $1", [id]);
    expect(await refusal(verify(signedToken))).toBe("TOKEN_REVOKED");
    await clock.advance(501);
    expect(await refusal(verify(signedToken))).toBe("TOKEN_INVALID");
  });
});

describe("looking into a token for its project", () => {
  const inspect = (token: string) => inspectToken(tokens, { projectId }, token);

  test("tells what it says and whose it is, whomever it is for", async () => {
    const { signedToken } = await issue(projectId, alice.id, { audience: ["chat"] });
    expect(await inspect(signedToken)).toMatchObject({ active: true, token: { audience: ["chat"] }, user: alice });
    expect(await refusal(verify(signedToken))).toBe("TOKEN_INVALID");
  });

  test("answers why it is not valid", async () => {
    const { signedToken, token } = await issue(projectId, alice.id);
    const late = await forge({ iat: 1, exp: 2 });
    expect(await inspect("")).toEqual({ active: false, reason: "TOKEN_INVALID" });
    expect(await inspect("mst_session")).toEqual({ active: false, reason: "TOKEN_INVALID" });
    expect(await inspect(late)).toEqual({ active: false, reason: "TOKEN_EXPIRED" });
    await db.pool.query("update tokens set revoke_time = now() where id = $1", [token.tokenId]);
    expect(await inspect(signedToken)).toEqual({ active: false, reason: "TOKEN_REVOKED" });
  });

  test("answers for a good token of another project as for a bad one", async () => {
    const holder = await user(otherProjectId);
    const { signedToken } = await issue(otherProjectId, holder.id);
    expect(await refusal(verify(signedToken))).toBe("none");
    expect(await inspect(signedToken)).toEqual({ active: false, reason: "TOKEN_INVALID" });
  });

  test("fails while the database is away, and answers again when it is back", async () => {
    const { signedToken } = await issue(projectId, alice.id);
    const bringBack = takeAway(db);
    expect(await refusal(inspect(signedToken))).toBe("STORAGE_UNAVAILABLE");
    expect(await refusal(verify(signedToken))).toBe("STORAGE_UNAVAILABLE");
    expect(await inspect(`${signedToken.slice(0, -4)}AAAA`)).toEqual({ active: false, reason: "TOKEN_INVALID" });
    bringBack();
    expect(await inspect(signedToken)).toMatchObject({ active: true });
  });
});

test("1,000 random changes of a good token never pass, and never fail but as invalid", async () => {
  const { signedToken } = await issue(projectId, alice.id, { claims: { nested: [{ a: 1 }, "text"] } });
  const original = Buffer.from(signedToken);
  const outcomes: Record<string, number> = {};
  for (let round = 0; round < 1_000; round++) {
    const changed = Buffer.from(original);
    for (let flips = randomInt(1, 4); flips > 0; flips--) {
      const at = randomInt(changed.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << randomInt(8));
    }
    if (changed.equals(original)) continue;
    // Both as a header would carry it and as a message would.
    const outcome = await refusal(verify(changed.toString(round % 2 ? "latin1" : "utf8")));
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
  expect(Object.keys(outcomes)).toEqual(["TOKEN_INVALID"]);
  expect(await refusal(verify(signedToken))).toBe("none");
});

test("1,000 changes within the parts, spelled properly, never pass", async () => {
  const { signedToken } = await issue(projectId, alice.id);
  const parts = signedToken.split(".").map((part) => Buffer.from(part, "base64url"));
  const outcomes = new Set<string>();
  for (let round = 0; round < 1_000; round++) {
    const changed = parts.map((part) => Buffer.from(part));
    const part = changed[randomInt(3)] as Buffer;
    const at = randomInt(part.length);
    part[at] = (part[at] ?? 0) ^ (1 << randomInt(8));
    outcomes.add(await refusal(verify(changed.map((bytes) => bytes.toString("base64url")).join("."))));
  }
  expect([...outcomes]).toEqual(["TOKEN_INVALID"]);
});

test("an instance with other encryption keys verifies, and cannot sign", async () => {
  const { signedToken } = await issue(projectId, alice.id);
  const stranger = tokensOn(db, clock, createSealer([randomBytes(32)]));
  expect(await refusal(stranger.tokens.verifier.verify(signedToken))).toBe("none");
  await expect(stranger.issue(projectId, alice.id)).rejects.toThrow("its encryption key is not configured");
});
