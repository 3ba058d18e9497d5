import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { type RunningServer, startServer } from "../../src/server.ts";
import { testDatabase } from "../support/database.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { OPERATOR_KEY, testConfig } from "../support/start-app.ts";
import { atSize, someImage } from "../users/avatar-fixture.ts";

const MIB = 1024 * 1024;
const db = await testDatabase();
const alice = { ref: { case: "externalId", value: "alice" } } as const;
let server: RunningServer;
let system: { headers: { authorization: string } };
let url: string;
beforeAll(async () => {
  server = await startServer(testConfig(db, { port: 0 }), { logger: createLogger("silent") });
  const projects = createClient(ProjectService, createGrpcTransport({ baseUrl: server.url }));
  const operator = { headers: { authorization: `Bearer ${OPERATOR_KEY}` } };
  const { project } = await projects.createProject({ displayName: "x" }, operator);
  const { accessKey } = await projects.createAccessKey({ projectId: project?.id ?? "" }, operator);
  system = { headers: { authorization: `Bearer ${accessKey}` } };
  const users = createClient(UserService, createGrpcTransport({ baseUrl: server.url }));
  await users.upsertUser({ externalId: "alice" }, system);
  const { user } = await users.setAvatar({ ref: alice, image: await someImage(1) }, system);
  url = user?.avatarUrl ?? "";
});
afterAll(() => server?.[Symbol.asyncDispose]());

/** A JPEG of this many bytes. */
async function imageOf(bytes: number): Promise<Buffer> {
  const jpeg = await someImage(1);
  return Buffer.concat([jpeg, Buffer.alloc(bytes - jpeg.length, 7)]);
}

describe("an image of 5 MiB arrives whole, and what is longer than a message may be is refused, over", () => {
  const http1 = { httpVersion: "1.1" } as const;
  const http2 = { httpVersion: "2" } as const;
  const transports = {
    gRPC: () => createGrpcTransport({ baseUrl: server.url }),
    "gRPC-Web": () => createGrpcWebTransport({ baseUrl: server.url, ...http1 }),
    "Connect over HTTP/1.1": () => createConnectTransport({ baseUrl: server.url, ...http1, useBinaryFormat: true }),
    "Connect in JSON": () => createConnectTransport({ baseUrl: server.url, ...http1, useBinaryFormat: false }),
    "Connect in JSON over HTTP/2": () =>
      createConnectTransport({ baseUrl: server.url, ...http2, useBinaryFormat: false }),
  };
  test.for(Object.entries(transports))("%s", async ([, transport]) => {
    const users = createClient(UserService, transport());
    const { user } = await users.setAvatar({ ref: alice, image: await imageOf(5 * MIB) }, system);
    expect(user?.avatarUrl).toBe(url);
    const over = await refusalOf(users.setAvatar({ ref: alice, image: await imageOf(5 * MIB + 1) }, system));
    expect([over.reason, over.fields]).toEqual(["REQUEST_INVALID", ["image"]]);
    const image = await imageOf(6 * MIB);
    expect(await reasonOf(users.setAvatar({ ref: alice, image }, system))).toBe("MESSAGE_TOO_LARGE");
  });
});

test("the message of no other RPC is longer than before", async () => {
  const users = createClient(UserService, createConnectTransport({ baseUrl: server.url, httpVersion: "1.1" }));
  const user = { bio: "x".repeat(MIB) };
  expect(await reasonOf(users.upsertUser({ user }, system))).toBe("MESSAGE_TOO_LARGE");
});

test("an avatar is served to anyone, for ever, as an image and nothing else", async () => {
  for (const size of [64, 256, 512]) {
    const answer = await fetch(atSize(url, size));
    expect(answer.status).toBe(200);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      "content-type": "image/webp",
      "cache-control": "public, max-age=31536000, immutable",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; sandbox",
      "cross-origin-resource-policy": "cross-origin",
      "access-control-allow-origin": "*",
      etag: expect.stringMatching(/^"[0-9a-f]{64}-\d+"$/),
    });
    const image = Buffer.from(await answer.arrayBuffer());
    expect(await sharp(image).metadata()).toMatchObject({ format: "webp", width: size, height: size });
    expect(answer.headers.get("content-length")).toBe(String(image.length));
  }
});

test("HEAD answers as GET without the image, and If-None-Match with 304", async () => {
  const got = await fetch(url);
  const head = await fetch(url, { method: "HEAD" });
  const named = (answer: Response) => {
    const { date: _, connection: __, "keep-alive": ___, ...headers } = Object.fromEntries(answer.headers);
    return headers;
  };
  expect([head.status, await head.text(), named(head)]).toEqual([200, "", named(got)]);
  const etag = got.headers.get("etag") ?? "";
  const same = await fetch(url, { headers: { "if-none-match": etag } });
  expect([same.status, await same.text(), same.headers.get("etag")]).toEqual([304, "", etag]);
  expect(same.headers.get("cache-control")).toContain("immutable");
  const other = await fetch(atSize(url, 64), { headers: { "if-none-match": etag } });
  expect(other.status).toBe(200);
  const posted = await fetch(url, { method: "POST" });
  expect([posted.status, posted.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
});

test("all other paths are 404, and are not kept by caches", async () => {
  const [, project = "", hash = ""] = /avatars\/(.{36})\/(.{64})\//.exec(url) ?? [];
  const wrong = [
    url.replace("256.webp", "128.webp"),
    url.replace("256.webp", "256.png"),
    url.replace("256.webp", "256.webp/"),
    url.replace(hash, hash.replace(/./g, "0")),
    url.replace(hash, hash.toUpperCase()),
    url.replace(hash, hash.slice(1)),
    url.replace(project, "00000000-0000-7000-8000-000000000000"),
    url.replace(project, "-".repeat(36)),
    url.replace("/avatars/", "/avatars/../avatars//"),
    `${server.url}/avatars/`,
    `${server.url}/avatars/${project}/${hash}/%2e%2e/256.webp`,
  ];
  for (const address of wrong) {
    const answer = await fetch(address);
    expect([address, answer.status, answer.headers.get("cache-control")]).toEqual([address, 404, "no-store"]);
  }
});

test("an avatar of which the user is gone is 404, also for those who have its ETag", async () => {
  const users = createClient(UserService, createGrpcTransport({ baseUrl: server.url }));
  await users.upsertUser({ externalId: "bob" }, system);
  const bob = { ref: { case: "externalId", value: "bob" } } as const;
  const { user } = await users.setAvatar({ ref: bob, image: await someImage(2) }, system);
  const etag = (await fetch(user?.avatarUrl ?? "")).headers.get("etag") ?? "";
  await users.deleteUser({ ref: bob }, system);
  const answer = await fetch(user?.avatarUrl ?? "", { headers: { "if-none-match": etag } });
  expect(answer.status).toBe(404);
});
