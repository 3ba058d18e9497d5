import { randomUUID } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import { createDiscovery } from "../../src/external-auth/discovery.ts";
import { createLogger } from "../../src/logger.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startOutsideServer } from "../support/outside-server.ts";

const server = await startOutsideServer();
const clock = createFakeClock();
const egress = createEgress({ allow: [server.host], clock });
const discovery = createDiscovery({ egress, clock, logger: createLogger("silent") });
afterAll(() => egress[Symbol.dispose]());

let issuer = "";
beforeEach(() => {
  issuer = `${server.url}/${randomUUID()}`;
  server.requests.length = 0;
});

const publish = (document: unknown) => {
  server.answer = (_, response) => response.end(JSON.stringify(document));
};
const providerAt = (it: string) => ({ issuer: it, jwks_uri: `${it}/keys`, authorization_endpoint: "unread" });
const reasonOf = (work: Promise<unknown>) => work.catch(({ reason }) => reason);
/** What is wrong with it, to whoever registers it. */
const faultOf = () => discovery.readProvider(issuer).catch((error: Error) => `${error.name}: ${error.message}`);

test("a provider is found at the well-known place below its issuer, once for ten minutes", async () => {
  publish(providerAt(issuer));
  const found = { issuer, jwksUri: `${issuer}/keys` };
  const all = await Promise.all(Array.from({ length: 20 }, () => discovery.providerOf(issuer)));
  expect(all).toEqual(Array.from({ length: 20 }, () => found));
  await clock.advance(10 * 60_000 - 1);
  expect(await discovery.providerOf(issuer)).toEqual(found);
  expect(server.requests.map(({ url }) => url)).toEqual([
    `${new URL(issuer).pathname}/.well-known/openid-configuration`,
  ]);
  await clock.advance(1);
  await discovery.providerOf(issuer);
  expect(server.requests).toHaveLength(2);
});

test("an issuer with a slash at its end is another one at the same place", async () => {
  publish(providerAt(`${issuer}/`));
  expect(await discovery.providerOf(`${issuer}/`)).toMatchObject({ issuer: `${issuer}/` });
  expect(await reasonOf(discovery.providerOf(issuer))).toBe("PROVIDER_UNAVAILABLE");
  expect(new Set(server.requests.map(({ url }) => url)).size).toBe(1);
});

test("a document that names another issuer is none of this one's", async () => {
  for (const other of ["https://other.example", issuer.toUpperCase(), `${issuer}/`, `${issuer}?`, ""]) {
    publish({ ...providerAt(issuer), issuer: other });
    expect(await faultOf()).toBe("UnusableDocument: names another issuer");
  }
  await clock.advance(30_000);
  expect(await reasonOf(discovery.providerOf(issuer))).toBe("PROVIDER_UNAVAILABLE");
});

test("what is no discovery document is refused, and the last good one serves meanwhile", async () => {
  publish(providerAt(issuer));
  await discovery.providerOf(issuer);
  const documents = [
    { issuer },
    { issuer, jwks_uri: "keys" },
    { issuer, jwks_uri: "file:///etc/passwd" },
    { issuer, jwks_uri: `${issuer}/${"k".repeat(1_024)}` },
    { issuer: [issuer], jwks_uri: `${issuer}/keys` },
    [],
  ];
  for (const document of documents) {
    publish(document);
    expect(await faultOf()).toContain("UnusableDocument");
  }
  publish(providerAt("https://other.example"));
  await clock.advance(24 * 3_600_000);
  expect(await discovery.providerOf(issuer)).toMatchObject({ issuer });
  await clock.advance(11 * 60_000);
  expect(await reasonOf(discovery.providerOf(issuer))).toBe("PROVIDER_UNAVAILABLE");
});

test("an issuer that may not be called, or is away, is told apart", async () => {
  await server.stop();
  expect(await reasonOf(discovery.readProvider(issuer))).toBe("PROVIDER_UNAVAILABLE");
  issuer = "https://10.0.0.1/issuer";
  expect(await faultOf()).toContain("may not be called");
});
