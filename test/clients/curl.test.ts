import { afterAll, expect, test } from "vitest";
import { run } from "./support/run.ts";
import { startServerProcess } from "./support/server.ts";

const server = await startServerProcess();
afterAll(() => server[Symbol.asyncDispose]());

/** What curl prints for an RPC: the status, the content type, the JSON. */
async function curl(...args: string[]) {
  const { code, stdout, stderr } = await run("curl", ["-sS", "-w", "\n%{http_code} %{content_type}", ...args]);
  if (code !== 0) throw new Error(stderr);
  const [body = "", status = ""] = stdout.split(/\n(?=.*$)/);
  return { status, body: body === "" ? undefined : (JSON.parse(body) as Record<string, unknown>) };
}

const rpc = (name: string, message: object, version = "--http1.1") => {
  const headers = ["-H", "content-type: application/json", "-H", `authorization: Bearer ${server.accessKey}`];
  return curl(version, ...headers, "-d", JSON.stringify(message), `${server.url}/muster.v1.${name}`);
};

test.each([
  ["HTTP/1.1", "--http1.1"],
  ["HTTP/2 in cleartext", "--http2-prior-knowledge"],
])("curl upserts a user and gets it back over %s", async (_, version) => {
  const externalId = `user${version}`;
  const upserted = await rpc("UserService/UpsertUser", { externalId, user: { name: "Ada" } }, version);
  expect(upserted).toMatchObject({
    status: "200 application/json",
    body: { created: true, user: { externalId, name: "Ada" } },
  });
  const got = await rpc("UserService/GetUser", { ref: { externalId } }, version);
  expect(got.body?.["user"]).toEqual(upserted.body?.["user"]);
});

test("curl reads by GET what has no side effects", async () => {
  await rpc("UserService/UpsertUser", { externalId: "by-get" });
  const message = encodeURIComponent(JSON.stringify({ ref: { externalId: "by-get" } }));
  const url = `${server.url}/muster.v1.UserService/GetUser?connect=v1&encoding=json&message=${message}`;
  const { status, body } = await curl("-H", `authorization: Bearer ${server.accessKey}`, url);
  expect(status).toBe("200 application/json");
  expect(body).toMatchObject({ user: { externalId: "by-get" } });
});

test("curl is told why a call is refused", async () => {
  const { status, body } = await rpc("UserService/GetUser", { ref: { externalId: "nobody" } });
  expect(status).toBe("404 application/json");
  expect(body).toMatchObject({
    code: "not_found",
    message: "No such user",
    details: [{ type: "google.rpc.ErrorInfo", debug: { reason: "USER_NOT_FOUND", domain: "muster.v1" } }],
  });
});

test("curl fetches the keys that a token is signed with", async () => {
  await rpc("UserService/UpsertUser", { externalId: "signed" });
  const { body } = await rpc("TokenService/IssueToken", { ref: { externalId: "signed" } });
  const [header = ""] = String(body?.["signedToken"]).split(".");
  const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string };
  const jwks = await curl(`${server.url}/projects/${server.projectId}/.well-known/jwks.json`);
  const keys = jwks.body?.["keys"] as { kid: string; d?: string }[];
  expect(keys.map((key) => key.kid)).toContain(kid);
  expect(keys.filter((key) => key.d !== undefined)).toEqual([]);
});
