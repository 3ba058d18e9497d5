import { describe, expect, test } from "vitest";
import { startOutsideServer } from "../support/outside-server.ts";
import { refusalOf } from "../support/refusal.ts";
import { type ConfigInit, type ProviderInit, startProving } from "./proving.ts";

/** Something inside, which a tenant must not reach. */
const inside = await startOutsideServer((_, response) => response.end('{"id": "user-1"}'), true);
const allowed = await startOutsideServer((_, response) => response.end('{"id": "user-1"}'));
const ADDRESSES: Record<string, string[]> = {
  "loopback.example": ["127.0.0.1"],
  "private.example": ["10.1.2.3"],
  "metadata.example": ["169.254.169.254"],
  "mapped.example": ["::ffff:127.0.0.1"],
  "unique-local.example": ["fd00::1"],
  "mixed.example": ["93.184.216.34", "127.0.0.1"],
};
const { auth, clock, prove, provider, refusal } = await startProving([allowed.host], (name) =>
  Promise.resolve(ADDRESSES[name] ?? []),
);

const http = (origin: string) =>
  ({ case: "http", value: { url: `${origin}/{credential}`, response: { subject: "/id" } } }) satisfies ConfigInit;
const oidc = (issuer: string) => ({ case: "oidc", value: { issuer, clientId: "app" } }) satisfies ConfigInit;
const firebase = (origin: string) =>
  ({ case: "firebase", value: { firebaseProjectId: "my-app", keysUri: `${origin}/keys` } }) satisfies ConfigInit;

/** A token that says the right things, so that keys are asked for. */
function tokenOf(issuer: string, audience: string): string {
  const now = clock.now() / 1_000;
  const claims = { iss: issuer, aud: audience, sub: "user-1", iat: now, auth_time: now, exp: now + 60 };
  const parts = [
    { alg: "RS256", kid: "k" },
    { ...claims, firebase: { sign_in_provider: "phone" } },
  ];
  return `${parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")}.AAAA`;
}

describe("a name that leads inside is not called, whoever asks for it:", () => {
  test.each(Object.keys(ADDRESSES))("%s", async (name) => {
    const origin = `https://${name}:${inside.port}`;
    const google = "https://securetoken.google.com/my-app";
    expect((await refusal(await provider(http(origin)), "x")).reason).toBe("PROVIDER_UNAVAILABLE");
    expect((await refusal(await provider(oidc(origin)), tokenOf(origin, "app"))).reason).toBe("PROVIDER_UNAVAILABLE");
    const token = tokenOf(google, "my-app");
    expect((await refusal(await provider(firebase(origin)), token)).reason).toBe("PROVIDER_UNAVAILABLE");
    expect(inside.connections()).toBe(0);
  });
});

test.each([
  "https://127.0.0.1",
  "https://0x7f000001",
  "https://2130706433",
  "https://0177.1",
  "https://[::1]",
  "https://[::ffff:7f00:1]",
  "https://[64:ff9b::7f00:1]",
  "https://192.168.0.1",
  "https://100.64.0.1",
  "https://localhost",
  "https://db.localhost",
  "https://postgres",
])("no provider is made at %s, which is inside", async (origin) => {
  const fieldsOf = async (config: ConfigInit) =>
    (await refusalOf(auth.createProvider({ provider: { id: "inside", config } as ProviderInit }))).fields;
  expect(await fieldsOf(http(`${origin}:${inside.port}`))).toEqual(["provider.http.url"]);
  expect(await fieldsOf(oidc(`${origin}:${inside.port}`))).toEqual(["provider.oidc.issuer"]);
  expect(await fieldsOf(firebase(`${origin}:${inside.port}`))).toEqual(["provider.firebase.keys_uri"]);
});

test("what the operator allows is called, by that host and port alone", async () => {
  expect((await prove(await provider(http(allowed.url)), "x")).subject).toBe("user-1");
  const beside = http(`http://127.0.0.1:${inside.port}`);
  const refused = auth.createProvider({ provider: { id: "beside", config: beside } as ProviderInit });
  expect((await refusalOf(refused)).fields).toEqual(["provider.http.url"]);
});

test("a credential leads to no other host and no other path than the provider's", async () => {
  const id = await provider(http(`${allowed.url}/users`));
  allowed.requests.length = 0;
  const credentials = [
    "@evil.example",
    "//evil.example",
    "a/../../b",
    "..",
    ".",
    "a?b#c",
    "a\\b",
    "%2e%2e",
    "ü 🦊",
    "{credential}",
  ];
  const said = await Promise.all(
    credentials.map((it) =>
      prove(id, it).then(
        () => "sent",
        () => "refused",
      ),
    ),
  );
  expect(said.filter((it) => it === "refused")).toHaveLength(2);
  expect(allowed.requests.map(({ url = "" }) => url).toSorted()).toEqual(
    credentials
      .filter((it) => it !== ".." && it !== ".")
      .map((it) => `/users/${encodeURIComponent(it)}`)
      .toSorted(),
  );
});
