import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import type { ProviderSchema } from "../../src/gen/muster/v1/provider_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

type ProviderInit = MessageInitShape<typeof ProviderSchema>;

const app = await startApp();
const auth = (await app.project()).system(ExternalAuthService);

const OIDC = "provider.oidc";
const HTTP = "provider.http";
const issuer = (value: string): ProviderInit["config"] => ({ case: "oidc", value: { issuer: value, clientId: "x" } });
const asking = (value: object): ProviderInit["config"] => ({
  case: "http",
  value: { url: "https://api.example/check", response: { subject: "/id" }, ...value },
});
const firebase = (keysUri: string): ProviderInit["config"] => ({
  case: "firebase",
  value: { firebaseProjectId: "my-app", keysUri },
});
const withHeader = (name: string, value: string) => asking({ headers: { [name]: value } });
const FORM = { "content-type": "application/x-www-form-urlencoded" };

const REFUSED: [what: string, field: string, config: ProviderInit["config"]][] = [
  ["none", "provider.config", { case: undefined }],
  ["an issuer that is no URL", `${OIDC}.issuer`, issuer("issuer.example")],
  ["an issuer of another scheme", `${OIDC}.issuer`, issuer("ftp://issuer.example")],
  ["an issuer with a query", `${OIDC}.issuer`, issuer("https://issuer.example/?a=1")],
  ["an issuer with a fragment", `${OIDC}.issuer`, issuer("https://issuer.example/#a")],
  ["an issuer with credentials", `${OIDC}.issuer`, issuer("https://a:b@issuer.example")],
  ["an issuer with a backslash", `${OIDC}.issuer`, issuer("https://issuer.example\\@evil.example")],
  ["an issuer with a line break", `${OIDC}.issuer`, issuer("https://issuer.example/\n")],
  ["an issuer with slashes left out", `${OIDC}.issuer`, issuer("https:issuer.example")],
  ["an issuer at a private address", `${OIDC}.issuer`, issuer("https://10.0.0.1")],
  ["an issuer at a private address in disguise", `${OIDC}.issuer`, issuer("https://0x7f.1/")],
  ["an issuer at this machine", `${OIDC}.issuer`, issuer("https://[::ffff:127.0.0.1]:8443")],
  ["an issuer of a local name", `${OIDC}.issuer`, issuer("https://localhost")],
  ["an issuer that is not https", `${OIDC}.issuer`, issuer("http://issuer.example")],
  ["neither client id nor audiences", `${OIDC}.client_id`, { case: "oidc", value: { issuer: "https://a.example" } }],
  [
    "an empty audience",
    `${OIDC}.audiences[0]`,
    { case: "oidc", value: { issuer: "https://a.example", audiences: [""] } },
  ],
  ["keys that are no URL", "provider.firebase.keys_uri", firebase("keys")],
  ["keys where the cloud tells its secrets", "provider.firebase.keys_uri", firebase("https://169.254.169.254/keys")],
  ["a url where the cloud tells its secrets", `${HTTP}.url`, asking({ url: "https://169.254.169.254/{credential}" })],
  ["a url that is not https", `${HTTP}.url`, asking({ url: "http://api.example/check" })],
  ["a url with the credential as its host", `${HTTP}.url`, asking({ url: "https://{credential}/check" })],
  ["a url with the credential in its host", `${HTTP}.url`, asking({ url: "https://{credential}.example/check" })],
  ["a url with the credential as its port", `${HTTP}.url`, asking({ url: "https://api.example:{credential}/" })],
  ["a url with the credential as its user", `${HTTP}.url`, asking({ url: "https://{credential}@api.example/" })],
  ["a url with the credential as its scheme", `${HTTP}.url`, asking({ url: "{credential}://api.example/" })],
  ["a url with the credential in its fragment", `${HTTP}.url`, asking({ url: "https://api.example/#{credential}" })],
  ["a url with another placeholder", `${HTTP}.url`, asking({ url: "https://api.example/{token}" })],
  ["a url that leads back", `${HTTP}.url`, asking({ url: "https://api.example/a/%2E./{credential}" })],
  ["a header of the transport", `${HTTP}.headers["Host"]`, withHeader("Host", "evil.example")],
  ["a header that frames", `${HTTP}.headers["Content-Length"]`, withHeader("Content-Length", "1")],
  ["a header that hops", `${HTTP}.headers["proxy-authorization"]`, withHeader("proxy-authorization", "x")],
  ["a header of two lines", `${HTTP}.headers["x-a"]`, withHeader("x-a", "1\r\nx-b: 2")],
  ["a header that is not ASCII", `${HTTP}.headers["x-a"]`, withHeader("x-a", "ü")],
  ["a header twice", `${HTTP}.headers["X-A"]`, asking({ headers: { "x-a": "1", "X-A": "2" } })],
  ["a content type of another kind", `${HTTP}.headers["content-type"]`, withHeader("content-type", "text/xml")],
  ["another method", `${HTTP}.method`, asking({ method: "PUT" })],
  ["a GET with a body", `${HTTP}.body`, asking({ method: "GET", body: "{}" })],
  ["a GET without the credential", `${HTTP}.url`, asking({ method: "GET" })],
  ["a body without the credential", `${HTTP}.url`, asking({ body: "{}" })],
  ["the credential in too many places", `${HTTP}.url`, asking({ body: `{"a": "${"{credential}".repeat(5)}"}` })],
  ["a body that is no JSON", `${HTTP}.body`, asking({ body: "token={credential}" })],
  ["a body in which the credential is no string", `${HTTP}.body`, asking({ body: '{"token": {credential}}' })],
  ["a body in which the credential is a name", `${HTTP}.body`, asking({ body: '{"a": [{"{credential}": 1}]}' })],
  ["a body with a member twice", `${HTTP}.body`, asking({ body: '{"a": "{credential}", "a": 1}' })],
  ["a form that is none", `${HTTP}.body`, asking({ headers: FORM })],
  ["a form with a line break", `${HTTP}.body`, asking({ headers: FORM, body: "a={credential}\n" })],
  ["no response", `${HTTP}.response`, asking({ response: undefined })],
  ["the whole answer as the subject", `${HTTP}.response.subject`, asking({ response: { subject: "id" } })],
  ["a pointer that is none", `${HTTP}.response.email`, asking({ response: { subject: "/id", email: "email" } })],
  [
    "a pointer with a bad escape",
    `${HTTP}.response.avatar_url`,
    asking({ response: { subject: "/id", avatarUrl: "/a~2" } }),
  ],
];

describe("a configuration is refused by its field that no credential could be checked by:", () => {
  test.each(REFUSED)("%s", async (_, field, config) => {
    const call = auth.createProvider({ provider: { id: "p", config } as ProviderInit });
    const { reason, fields } = await refusalOf(call);
    expect({ reason, fields }).toEqual({ reason: "REQUEST_INVALID", fields: [field] });
  });

  test.each(["", "A", "1a", "a_b", "ä", "-a", "a".repeat(64)])("the id %j", async (id) => {
    const provider = { id, config: issuer("https://issuer.example") } as ProviderInit;
    expect((await refusalOf(auth.createProvider({ provider }))).fields).toEqual(["provider.id"]);
  });
});

test("is taken: what stands at the edge of the rules", async () => {
  const made = async (id: string, value: object) =>
    auth.createProvider({
      provider: { id, config: { case: "http", value: { response: { subject: "/a~1b/0/~0" }, ...value } as never } },
    });
  const form = { "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8" };
  await made("form", { url: "https://api.example", headers: form, body: "token={credential}&hint=access_token" });
  await made("get", { url: "https://api.example/u/{credential}?c={credential}", method: "GET" });
  await made("header", {
    url: "https://api.example/me",
    method: "GET",
    headers: { authorization: "Bearer {credential}" },
  });
  await made("escaped", { url: "https://api.example", body: '{"a\\"{": ["\\\\{credential}", {"b": 1}]}' });
  expect((await auth.listProviders({})).providers.map(({ id }) => id)).toEqual(["escaped", "form", "get", "header"]);
});
