import { describe, expect, test } from "vitest";
import type { PlainResponse } from "../../src/rpc/plain-http.ts";
import { jwksRoutes } from "../../src/tokens/jwks-routes.ts";
import { plainRequest } from "../support/plain-request.ts";
import { PUBLIC_URL, takeAway, tokensFixture, tokensOn } from "./tokens-fixture.ts";

const { db, clock, sealer, tokens, project, changeProject } = await tokensFixture();
const UNKNOWN = "019e830e-1cef-7227-a35b-b585a4134528";

async function get(path: string, routes = jwksRoutes(tokens)): Promise<PlainResponse> {
  for (const route of routes) {
    const match = path.match(route.path);
    if (match) return await route.handle(plainRequest(path, match));
  }
  throw new Error(`no route for ${path}`);
}

const json = (answer: PlainResponse): Record<string, unknown> => JSON.parse(String(answer.body));
const jwks = (id: string) => get(`/projects/${id}/.well-known/jwks.json`);
const discovery = (id: string) => get(`/projects/${id}/.well-known/openid-configuration`);

describe("the published keys of a project", () => {
  test("are its public keys, each with its name, its one algorithm and its use, and nothing private", async () => {
    const id = await project();
    expect(json(await jwks(id))).toEqual({
      keys: [{ kty: "OKP", crv: "Ed25519", x: expect.any(String), kid: expect.any(String), alg: "EdDSA", use: "sig" }],
    });
  });

  test("may be cached by anyone, shortly, and read by pages of any origin", async () => {
    const { status, headers } = await jwks(await project());
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      "content-type": "application/json",
      "cache-control": "public, max-age=30, stale-if-error=3600",
      "access-control-allow-origin": "*",
    });
  });

  test("hold the keys that do not sign yet or no more, within half a second of a change", async () => {
    const id = await project();
    await jwks(id);
    await changeProject(id, { signingAlgorithm: "RS256" });
    await clock.advance(500);
    expect(json(await jwks(id))).toMatchObject({ keys: [{ alg: "RS256", kty: "RSA" }, { alg: "EdDSA" }] });
  });

  test("are the same bytes from every server", async () => {
    const id = await project();
    const other = jwksRoutes(tokensOn(db, clock, sealer).tokens);
    expect((await get(`/projects/${id}/.well-known/jwks.json`, other)).body).toBe((await jwks(id)).body);
  });

  test("do not exist for a project that does not", async () => {
    for (const id of [UNKNOWN, "x", "..", "%2e%2e", `${UNKNOWN.toUpperCase()}`, "' or 1=1 --"]) {
      expect((await jwks(id)).status).toBe(404);
      expect((await discovery(id)).status).toBe(404);
    }
  });

  test("go with their project", async () => {
    const id = await project();
    expect((await jwks(id)).status).toBe(200);
    await db.pool.query("delete from projects where id = $1", [id]);
    await clock.advance(500);
    expect((await jwks(id)).status).toBe(404);
  });

  test("are served while the database is away; those nobody asked for before are unavailable", async () => {
    const [known, unseen] = [await project(), await project()];
    const before = await jwks(known);
    const bringBack = takeAway(db);
    await clock.advance(60_000);
    expect(await jwks(known)).toEqual(before);
    expect((await discovery(known)).status).toBe(200);
    expect(await jwks(unseen)).toMatchObject({ status: 503, headers: { "retry-after": "1" } });
    bringBack();
    expect((await jwks(unseen)).status).toBe(200);
  });
});

test("the discovery document names what there is and nothing else", async () => {
  const id = await project({ signingAlgorithm: "ES256" });
  expect(json(await discovery(id))).toEqual({
    issuer: `${PUBLIC_URL}/projects/${id}`,
    jwks_uri: `${PUBLIC_URL}/projects/${id}/.well-known/jwks.json`,
    response_types_supported: [],
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
    claims_supported: ["iss", "sub", "aud", "iat", "exp", "jti", "ext"],
  });
});
