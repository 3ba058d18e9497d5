import { describe, expect, test } from "vitest";
import type { HttpConfig } from "../../src/external-auth/providers/provider.ts";
import { renderRequest } from "../../src/external-auth/providers/request-template.ts";

const NOTHING = { email: "", emailVerified: "", name: "", login: "", avatarUrl: "", metadata: "", active: "" };
const config = (value: Partial<HttpConfig>): HttpConfig => ({
  kind: "HTTP",
  url: "https://api.example/check",
  method: "POST",
  headers: {},
  body: '{"token": "{credential}"}',
  response: { subject: "/id", ...NOTHING },
  ...value,
});

/** Credentials that would say more than themselves if nobody took care. */
const HOSTILE = [
  '"',
  '", "admin": true, "x": "',
  "\\",
  '\\"',
  "a\nb",
  "a\r\nx-admin: 1",
  "\u0000",
  "\u2028\u2029",
  "a&b=c",
  "a=b;c",
  "a+b c",
  "%",
  "%22",
  "%0d%0a",
  "{credential}",
  "$&$1$`$'",
  "../../admin",
  "?a#b",
  "'!()*~",
  "ü🦊",
  "e\u0301",
  "</script>",
  "constructor",
  "a".repeat(1_000),
];

describe.each(HOSTILE)("the credential %j is one text and nothing else", (credential) => {
  test("in JSON", () => {
    const body = '{"token": "{credential}", "list": ["a{credential}b"], "\\"q": 1}';
    const sent = renderRequest(config({ body }), credential)?.options.body;
    expect(JSON.parse(String(sent))).toEqual({ token: credential, list: [`a${credential}b`], '"q': 1 });
  });

  test("in a form", () => {
    const headers = { "Content-Type": "application/x-www-form-urlencoded" };
    const sent = renderRequest(config({ headers, body: "token={credential}&hint=access" }), credential)?.options.body;
    expect([...new URLSearchParams(String(sent))]).toEqual([
      ["token", credential],
      ["hint", "access"],
    ]);
  });

  test("in a URL", () => {
    const url = "https://api.example/users/{credential}/x?token={credential}&a=b";
    const rendered = renderRequest(config({ url, method: "GET", body: "" }), credential);
    const { origin, pathname, searchParams, hash } = new URL(rendered?.url ?? "");
    expect({ origin, hash, query: [...searchParams] }).toEqual({
      origin: "https://api.example",
      hash: "",
      query: [
        ["token", credential],
        ["a", "b"],
      ],
    });
    const steps = pathname.split("/");
    expect([steps.length, steps[1], decodeURIComponent(steps[2] ?? ""), steps[3]]).toEqual([
      4,
      "users",
      credential,
      "x",
    ]);
    expect(rendered?.options.body).toBeUndefined();
  });

  test("in a header, or it is not sent", () => {
    const headers = { authorization: "Bearer {credential}" };
    const rendered = renderRequest(config({ headers, method: "GET", body: "" }), credential);
    const isPlain = /^[ -~]+$/.test(credential);
    expect(rendered?.options.headers?.["authorization"]).toBe(isPlain ? `Bearer ${credential}` : undefined);
  });
});

describe("a credential is not sent", () => {
  test.each([".", "..", "%2e", "%2E.", ".%2e"])("as a step of a path that leads elsewhere: %s", (credential) => {
    const rendered = renderRequest(config({ url: "https://api.example/a/{credential}/b" }), credential);
    // A percent sign is escaped, and then it is a name like any other.
    expect(rendered?.url).toBe(
      credential.includes("%") ? `https://api.example/a/${encodeURIComponent(credential)}/b` : undefined,
    );
    expect(renderRequest(config({ url: "https://api.example/a/.{credential}/b" }), ".")).toBeUndefined();
  });

  test("that is no text, or makes a URL that nobody takes", () => {
    expect(renderRequest(config({}), "\ud800")).toBeUndefined();
    const url = "https://api.example/{credential}";
    expect(renderRequest(config({ url }), "a".repeat(8_000))).toBeDefined();
    expect(renderRequest(config({ url }), "a".repeat(8_192))).toBeUndefined();
  });

  test.each([" a", "a ", "\ta", "a\tb"])("in a header that would be trimmed: %j", (credential) => {
    expect(renderRequest(config({ headers: { "x-token": "{credential}" } }), credential)).toBeUndefined();
  });
});

test("what a header is called by the project stays as it is, and what it leaves out is filled in", () => {
  const { headers } =
    renderRequest(config({ headers: { Accept: "text/plain", "CONTENT-TYPE": "application/json; charset=utf-8" } }), "x")
      ?.options ?? {};
  expect(headers).toEqual({ Accept: "text/plain", "CONTENT-TYPE": "application/json; charset=utf-8" });
  expect(renderRequest(config({ method: "GET", body: "" }), "x")?.options).toEqual({
    method: "GET",
    headers: { accept: "application/json" },
  });
});
