import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { startOutsideServer } from "../support/outside-server.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { ALGORITHMS, type KeyPair, keyPair, signerFor } from "./external-fixture.ts";

const outside = await startOutsideServer();
const app = await startApp({ config: { egressAllow: [outside.host] } });
const published = (pair: KeyPair, kid?: string) => ({
  ...pair.jwk,
  ...(kid && { kid }),
  alg: pair.algorithm,
  use: "sig",
});

/** Has the server answer a set of keys from now on, or something else. */
function publish(keys: unknown, status = 200): void {
  outside.answer = (_, response) => {
    response.statusCode = status;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ keys }));
  };
}

/** Each project has a URL of its own: what is known of one counts for all. */
async function projectWithSet(name: string) {
  const project = await app.project();
  const system = project.system(ExternalAuthService);
  const jwksUri = `${outside.url}/${name}.json`;
  const register = () => system.rotateExternalKey({ key: { case: "jwksUri", value: jwksUri } });
  const verify = (userJwt: string) =>
    app.client(ExternalAuthService).verifyExternalUser({ projectId: project.id, userJwt });
  const by = (pair: KeyPair, header: Record<string, unknown> = {}) => verify(signerFor(app, project, pair)({}, header));
  return { project, system, jwksUri, register, verify, by };
}

describe("a set of keys at a URL", () => {
  test.each(ALGORITHMS)("proves users by its keys of %s", async (algorithm) => {
    const [one, two] = [keyPair(algorithm), keyPair(algorithm)];
    publish([published(one, "one"), published(two, "two")]);
    const { register, by, jwksUri } = await projectWithSet(`of-${algorithm}`);
    const { key } = await register();
    expect([key?.jwksUri, key?.keyId, key?.algorithm, key?.publicJwk]).toEqual([jwksUri, "", "", ""]);
    expect((await by(one, { kid: "one" })).userCreated).toBe(true);
    expect((await by(two, { kid: "two" })).userCreated).toBe(false);
    expect((await by(two)).user).toBeDefined();
    expect(await reasonOf(by(one, { kid: "two" }))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("is asked again for a key that it did not have, and not for one that it has", async () => {
    const [one, two] = [keyPair(), keyPair()];
    publish([published(one, "one")]);
    const { register, by } = await projectWithSet("rotated");
    await register();
    const asked = outside.requests.length;
    await by(one, { kid: "one" });
    expect(outside.requests.length).toBe(asked);
    publish([published(one, "one"), published(two, "two")]);
    await app.clock.advance(30_000);
    await by(two, { kid: "two" });
    expect(outside.requests.length).toBe(asked + 1);
  });

  test("that cannot be reached is PROVIDER_UNAVAILABLE, with a time to try again; what another key signed is taken", async () => {
    const [pem, member] = [keyPair(), keyPair("EdDSA")];
    publish([published(member, "m")]);
    const { register, by, system, project } = await projectWithSet("away");
    await register();
    await system.rotateExternalKey({ key: { case: "publicKeyPem", value: pem.pem } });
    // Another server, which has never asked.
    const other = await startApp({ db: app.db, clock: app.clock, config: { egressAllow: [outside.host] } });
    const there = (pair: KeyPair, header: Record<string, unknown>) =>
      other
        .client(ExternalAuthService)
        .verifyExternalUser({ projectId: project.id, userJwt: signerFor(app, project, pair)({}, header) });
    publish([], 503);
    expect((await there(pem, {})).user).toBeDefined();
    const { reason, retryAfter } = await refusalOf(there(member, { kid: "m" }));
    expect([reason, retryAfter]).toEqual(["PROVIDER_UNAVAILABLE", expect.any(Number)]);
    const explained = other.client(ExternalAuthService, project.accessKey).explainExternalToken({
      userJwt: signerFor(app, project, member)({}, { kid: "m" }),
    });
    expect(await reasonOf(explained)).toBe("PROVIDER_UNAVAILABLE");
    // The one that asked before goes on by what it knows.
    expect((await by(member, { kid: "m" })).user).toBeDefined();
  });

  test.each<[string, unknown, number, string]>([
    ["without a key that can be used", [{ kty: "oct", k: "AAAA" }], 200, "REQUEST_INVALID"],
    ["that is empty", [], 200, "REQUEST_INVALID"],
    ["that is none", "keys", 200, "REQUEST_INVALID"],
    ["that is not there", [], 404, "REQUEST_INVALID"],
    ["that is out of order", [], 500, "PROVIDER_UNAVAILABLE"],
  ])("%s is not registered", async (name, keys, status, expected) => {
    publish(keys, status);
    const { register, system } = await projectWithSet(encodeURIComponent(name));
    expect(await reasonOf(register())).toBe(expected);
    expect((await system.listExternalKeys({})).keys).toEqual([]);
  });

  test("whose keys have no names is tried key by key; a JWT that calls one is not guessed at", async () => {
    const [one, two] = [keyPair(), keyPair()];
    publish([published(one), published(two)]);
    const { register, by } = await projectWithSet("nameless");
    await register();
    expect((await by(two)).user).toBeDefined();
    expect(await reasonOf(by(two, { kid: "two" }))).toBe("EXTERNAL_JWT_INVALID");
  });

  test("registered again changes nothing", async () => {
    publish([published(keyPair(), "one")]);
    const { register } = await projectWithSet("again");
    expect((await register()).key).toEqual((await register()).key);
  });
});
