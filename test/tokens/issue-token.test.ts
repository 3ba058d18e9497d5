import { createPublicKey, type JsonWebKey, verify } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { afterAll, describe, expect, test } from "vitest";
import { MusterError } from "../../src/errors.ts";
import type { SigningAlgorithm } from "../../src/projects/projects.ts";
import { answerPlain } from "../../src/rpc/plain-http.ts";
import { createReadForm } from "../../src/rpc/read-form.ts";
import { inspectToken } from "../../src/tokens/inspect-token.ts";
import type { IssueTokenInput } from "../../src/tokens/issue-token.ts";
import { jwksRoutes } from "../../src/tokens/jwks-routes.ts";
import type { JsonObject } from "../../src/tokens/strict-json.ts";
import { PUBLIC_URL, refusal, tokensFixture } from "./tokens-fixture.ts";

const { clock, tokens, project, changeProject, user, issue } = await tokensFixture();
const projectId = await project();
const alice = await user(projectId, "alice");

const routes = jwksRoutes(tokens);
const web = createServer(
  (request, response) => void answerPlain(routes, createReadForm(clock), request, response, request.url ?? ""),
);
await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
afterAll(() => void web.close());
const base = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;

/** Header and claims of a token, read without a check. */
function read(signedToken: string): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header, claims] = signedToken
    .split(".", 2)
    .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
  return { header, claims };
}

/** The field that an input is refused for. */
async function refusedField(input: Partial<IssueTokenInput>): Promise<string | undefined> {
  const error = await issue(projectId, alice.id, input).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!(error instanceof MusterError)) throw new Error(`not refused, but: ${String(error)}`);
  expect(error.reason).toBe("REQUEST_INVALID");
  return error.extra.violations?.[0]?.field;
}

describe.each([
  ["ED25519", "EdDSA", "OKP"],
  ["ES256", "ES256", "EC"],
  ["RS256", "RS256", "RSA"],
] as [SigningAlgorithm, string, string][])(
  "a token of a project that signs with %s",
  async (signingAlgorithm, alg, kty) => {
    const id = await project({ signingAlgorithm });
    const holder = await user(id);
    const { signedToken, token } = await issue(id, holder.id);

    test("verifies with a JOSE library that knows the published keys only", async () => {
      const keys = createRemoteJWKSet(new URL(`${base}/projects/${id}/.well-known/jwks.json`));
      const { payload, protectedHeader } = await jwtVerify(signedToken, keys, {
        issuer: `${PUBLIC_URL}/projects/${id}`,
        audience: id,
        typ: "at+jwt",
        algorithms: [alg],
        currentDate: new Date(clock.now()),
      });
      expect(payload).toMatchObject({ sub: holder.id, jti: token.tokenId });
      expect(protectedHeader).toEqual({ typ: "at+jwt", alg, kid: expect.any(String) });
    });

    test("verifies by hand", async () => {
      const answer = await fetch(`${base}/projects/${id}/.well-known/jwks.json`);
      const { keys } = (await answer.json()) as { keys: (JsonWebKey & { kid: string })[] };
      expect(keys).toEqual([expect.objectContaining({ kty, alg, use: "sig" })]);
      expect(
        Object.keys(keys[0] ?? {}).filter((name) => ["d", "p", "q", "dp", "dq", "qi", "k"].includes(name)),
      ).toEqual([]);
      const key = createPublicKey({ key: keys[0] as JsonWebKey, format: "jwk" });
      const [header, claims, signature] = signedToken.split(".");
      const signed = Buffer.from(`${header}.${claims}`);
      const hash = signingAlgorithm === "ED25519" ? null : "sha256";
      const good = verify(hash, signed, { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature ?? "", "base64url"));
      expect(good).toBe(true);
      expect(read(signedToken).header["kid"]).toBe(keys[0]?.kid);
    });

    test("verifies here", async () => {
      expect(await tokens.verifier.verify(signedToken)).toMatchObject({ projectId: id, userId: holder.id });
    });
  },
);

describe("the claims of a token", () => {
  test("say who, for whom, by whom, since and until when", async () => {
    const { signedToken, token } = await issue(projectId, alice.id);
    const now = Math.floor(clock.now() / 1_000);
    expect(read(signedToken).claims).toEqual({
      iss: `${PUBLIC_URL}/projects/${projectId}`,
      sub: alice.id,
      aud: projectId,
      iat: now,
      exp: now + 86_400,
      jti: token.tokenId,
      ext: "alice",
    });
    expect(token).toEqual({
      tokenId: token.tokenId,
      userId: alice.id,
      issuedAt: now * 1_000,
      expiresAt: (now + 86_400) * 1_000,
    });
  });

  test.each([
    [["one"], "one"] as const,
    [
      ["one", "two"],
      ["one", "two"],
    ] as const,
  ])("name the audience %j as %j", async (audience, aud) => {
    const { signedToken } = await issue(projectId, alice.id, { audience });
    expect(read(signedToken).claims["aud"]).toEqual(aud);
  });

  test("hold the caller's own beside them", async () => {
    const claims = { role: "admin", scope: ["a", "b"], nested: { deep: [1, null, true] } };
    const { signedToken } = await issue(projectId, alice.id, { claims });
    expect(read(signedToken).claims).toMatchObject(claims);
    expect((await tokens.verifier.verify(signedToken)).claims).toMatchObject(claims);
  });

  test.each(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "sid", "ext"])("cannot be shadowed: %s", async (name) => {
    expect(await refusedField({ claims: { [name]: "x" } })).toBe(`claims.${name}`);
  });

  const deep = (depth: number): JsonObject => (depth === 1 ? {} : { a: deep(depth - 1) });

  test.each<[string, JsonObject]>([
    ["more than 20", Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`c${i}`, i]))],
    ["more than 4 KiB", { text: "x".repeat(4_096) }],
    ["more than 4 KiB in UTF-8", { text: "é".repeat(2_100) }],
    ["nested too deep", deep(17)],
    ["a number that JSON cannot say", { n: Number.NaN }],
    ["a lone surrogate", { s: "\ud800" }],
    ["NUL", { s: "\0" }],
    ["__proto__", JSON.parse('{"__proto__": {"a": 1}}') as JsonObject],
    ["__proto__, deep down", JSON.parse('{"a": [{"__proto__": {"a": 1}}]}') as JsonObject],
    ["constructor", { constructor: { prototype: {} } }],
  ])("are refused: %s", async (_name, claims) => {
    expect(await refusedField({ claims })).toBe("claims");
  });

  test("are taken up to their limits, and the token then verifies", async () => {
    const claims = {
      ...Object.fromEntries(Array.from({ length: 18 }, (_, i) => [`c${i}`, i])),
      deep: deep(15),
      text: "x".repeat(3_600),
    };
    const { signedToken } = await issue(projectId, alice.id, { claims });
    expect((await tokens.verifier.verify(signedToken)).claims).toMatchObject(claims);
  });

  test("never make a token that is too long to verify", async () => {
    const controls = (length: number) => "\u0001".repeat(length);
    const claims = { text: controls(680) };
    const audience = [controls(255), controls(255), controls(170)];
    const { id } = await user(projectId, controls(255));
    const { signedToken } = await issue(projectId, id, { claims, audience });
    expect(await inspectToken(tokens, { projectId }, signedToken)).toMatchObject({ active: true });
    expect(await refusedField({ claims, audience: [...audience, controls(10)] })).toBe("audience");
  });
});

describe("the life of a token", async () => {
  const short = await project({ tokenTtlMs: 60_000, tokenTtlMaxMs: 120_000 });
  const holder = await user(short);
  const lifeOf = async (ttlMs?: number) => {
    const { token } = await issue(short, holder.id, { ttlMs });
    return token.expiresAt - token.issuedAt;
  };

  test("is the project's default unless the call says otherwise", async () => {
    expect(await lifeOf()).toBe(60_000);
  });

  test.each([1_000, 59_000, 60_000, 61_000, 120_000])("is %d ms as the call asks", async (ttlMs) => {
    expect(await lifeOf(ttlMs)).toBe(ttlMs);
  });

  test("is rounded up to whole seconds", async () => {
    expect(await lifeOf(1_001)).toBe(2_000);
  });

  test.each([0, -1_000, Number.NaN, 120_001, 121_000, Number.MAX_SAFE_INTEGER])("cannot be %d ms", async (ttlMs) => {
    const failure = issue(short, holder.id, { ttlMs });
    await expect(failure).rejects.toMatchObject({
      reason: "REQUEST_INVALID",
      extra: { violations: [{ field: "ttl" }] },
    });
  });

  test("follows the project's settings within half a second", async () => {
    const id = await project({ tokenTtlMaxMs: 3_600_000, tokenTtlMs: 60_000 });
    const someone = await user(id);
    expect(await refusal(issue(id, someone.id, { ttlMs: 7_200_000 }))).toBe("REQUEST_INVALID");
    await changeProject(id, { tokenTtlMaxMs: 7_200_000 });
    await clock.advance(501);
    expect(await refusal(issue(id, someone.id, { ttlMs: 7_200_000 }))).toBe("none");
  });
});
