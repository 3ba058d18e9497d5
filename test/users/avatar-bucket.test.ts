import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { beforeEach, expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { settingsFor, startMuster } from "../support/muster-process.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startS3Server } from "../support/s3-server.ts";
import { startApp } from "../support/start-app.ts";
import { atSize, someImage, visit } from "./avatar-fixture.ts";

const MINUTE = 60_000;
const s3 = await startS3Server();
const app = await startApp({ config: { avatarBucket: s3.settings } });
const alice = { ref: { case: "externalId", value: "alice" } } as const;
beforeEach(() => s3.refuse(() => false));

/** A user in a project of its own. */
async function someUser() {
  const users = (await app.project()).system(UserService);
  await users.upsertUser({ externalId: "alice" });
  return users;
}

/** Lets time pass until the bucket holds this. */
const holds = async (keys: readonly string[]) =>
  await expect
    .poll(
      async () => {
        await app.clock.advance(MINUTE);
        return s3.keys();
      },
      { timeout: 30_000 },
    )
    .toEqual(keys);

const isPut = (method: string) => method === "PUT";

test("an object's key is the prefix, the project, a name of its own, and the size", async () => {
  const { id, system } = await app.project();
  await system(UserService).upsertUser({ externalId: "alice" });
  await system(UserService).setAvatar({ ref: alice, image: await someImage(1) });
  const keys = (await s3.keys()).filter((key) => key.includes(id));
  const names = new Set(keys.map((key) => key.split("/").at(-2)));
  expect(names.size).toBe(1);
  const folder = `pictures/v1.${id}/${[...names][0]}`;
  expect(keys).toEqual([`${folder}/256.webp`, `${folder}/512.webp`, `${folder}/64.webp`]);
});

test("while the bucket is away, uploads and images are refused for the moment, and nothing else is", async () => {
  const users = await someUser();
  const { user: before } = await users.setAvatar({ ref: alice, image: await someImage(2) });
  s3.refuse(() => true);
  const { reason, retryAfter } = await refusalOf(users.setAvatar({ ref: alice, image: await someImage(3) }));
  expect([reason, retryAfter]).toEqual(["STORAGE_UNAVAILABLE", 1]);
  const { status, headers } = await visit(app, before?.avatarUrl ?? "");
  expect([status, headers?.["retry-after"]]).toEqual([503, "1"]);
  expect((await users.getUser({ ref: alice })).user).toEqual(before);
  s3.refuse(() => false);
  expect((await visit(app, before?.avatarUrl ?? "")).status).toBe(200);
});

test("who has an image already is told so without the bucket being asked, as long as it is some user's", async () => {
  const keys = await s3.keys();
  const users = await someUser();
  const url = (await users.setAvatar({ ref: alice, image: await someImage(12) })).user?.avatarUrl ?? "";
  let asked = 0;
  s3.refuse((method) => {
    if (method === "GET") asked += 1;
    return false;
  });
  const first = await visit(app, url);
  const etag = first.headers?.["etag"] ?? "";
  expect([first.status, asked]).toEqual([200, 1]);
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const { status, headers, body } = await visit(app, url, { "if-none-match": known });
    const { "content-type": _, ...kept } = first.headers ?? {};
    expect([known, status, headers, body]).toEqual([known, 304, kept, undefined]);
  }
  expect(asked).toBe(1);
  expect((await visit(app, atSize(url, 64), { "if-none-match": etag })).status).toBe(200);
  expect((await visit(app, url, { "if-none-match": `"${"0".repeat(64)}-256"` })).status).toBe(200);
  expect(asked).toBe(3);
  s3.refuse(() => true);
  expect((await visit(app, url, { "if-none-match": etag })).status).toBe(304);
  await users.deleteAvatar({ ref: alice });
  expect((await visit(app, url, { "if-none-match": etag })).status).toBe(404);
  s3.refuse(() => false);
  await holds(keys);
});

test("an upload that fails half-way changes nothing, and what it left is removed", async () => {
  const users = await someUser();
  const { user: before } = await users.setAvatar({ ref: alice, image: await someImage(4) });
  const keys = await s3.keys();
  s3.refuse((method, path) => isPut(method) && path.endsWith("/512.webp"));
  const upload = users.setAvatar({ ref: alice, image: await someImage(5) });
  expect(await reasonOf(upload)).toBe("STORAGE_UNAVAILABLE");
  expect((await s3.keys()).length).toBe(keys.length + 2);
  expect((await users.getUser({ ref: alice })).user).toEqual(before);
  await holds(keys);
  for (const size of [64, 256, 512]) expect((await visit(app, atSize(before?.avatarUrl ?? "", size))).status).toBe(200);
});

test("a removal that fails is tried again until it succeeds", async () => {
  const keys = await s3.keys();
  const users = await someUser();
  await users.setAvatar({ ref: alice, image: await someImage(6) });
  let tries = 0;
  s3.refuse((method) => {
    if (method === "DELETE") tries += 1;
    return method === "DELETE";
  });
  await users.deleteUser({ ref: alice });
  for (const most of [1, 2, 3])
    await expect
      .poll(
        async () => {
          await app.clock.advance(5_000);
          return tries;
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThanOrEqual(most);
  expect((await s3.keys()).length).toBe(keys.length + 3);
  s3.refuse(() => false);
  await holds(keys);
});

test("the images of a guest go with it", async () => {
  const keys = await s3.keys();
  const users = await someUser();
  const { user } = await users.setAvatar({ ref: alice, image: await someImage(11) });
  await app.db.pool.query("update users set guest = true where id = $1", [user?.id]);
  app.clock.step(24 * 60 * MINUTE);
  await holds(keys);
  expect((await visit(app, user?.avatarUrl ?? "")).status).toBe(404);
});

test("a bucket that refuses its key is a fault of the server, and the caller learns nothing of it", async () => {
  const avatarBucket = { ...s3.settings, secretAccessKey: "wrong" };
  const other = await startApp({ config: { avatarBucket } });
  const users = (await other.project()).system(UserService);
  await users.upsertUser({ externalId: "alice" });
  const { reason, error } = await refusalOf(users.setAvatar({ ref: alice, image: await someImage(7) }));
  expect([reason, error.rawMessage]).toEqual(["INTERNAL", "Internal error"]);
});

/** The settings of a process that keeps avatars in the bucket. */
function bucketSettings(): Record<string, string> {
  const { endpoint, bucket, region, accessKeyId, secretAccessKey, prefix } = s3.settings;
  return {
    MUSTER_AVATAR_S3_ENDPOINT: endpoint,
    MUSTER_AVATAR_S3_BUCKET: bucket,
    MUSTER_AVATAR_S3_REGION: region,
    MUSTER_AVATAR_S3_ACCESS_KEY_ID: accessKeyId,
    MUSTER_AVATAR_S3_SECRET_ACCESS_KEY: secretAccessKey,
    MUSTER_AVATAR_S3_PREFIX: prefix,
  };
}

/** A client of a project's own of the server at `url`. */
async function usersAt(url: string, operatorKey: string) {
  const bearer = (key: string): Interceptor[] => [
    (next) => (request) => {
      request.header.set("authorization", `Bearer ${key}`);
      return next(request);
    },
  ];
  const transport = (key: string) =>
    createConnectTransport({ baseUrl: url, httpVersion: "2", interceptors: bearer(key) });
  const projects = createClient(ProjectService, transport(operatorKey));
  const { project } = await projects.createProject({ displayName: "x" });
  const { accessKey } = await projects.createAccessKey({ projectId: project?.id ?? "" });
  return createClient(UserService, transport(accessKey));
}

test("kill -9, in the middle of an upload and before a removal: all that no user has is removed", async () => {
  const db = await testDatabase();
  const before = (await s3.keys()).length;
  const settings = settingsFor(db.address);
  const server = await startMuster({ ...settings, ...bucketSettings() });
  const users = await usersAt(server.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const bob = { ref: { case: "externalId", value: "bob" } } as const;
  await users.batchUpsertUsers({ users: [{ externalId: "alice" }, { externalId: "bob" }] });
  const { user } = await users.setAvatar({ ref: alice, image: await someImage(8) });
  await users.setAvatar({ ref: bob, image: await someImage(9) });
  const held = Promise.withResolvers<void>();
  s3.refuse((method, path) => {
    if (!isPut(method) || !path.endsWith("/512.webp")) return method === "DELETE";
    held.resolve();
    return "hang";
  });
  const cutOff = users.setAvatar({ ref: alice, image: await someImage(10) }).catch(() => "cut off");
  await held.promise;
  await users.deleteUser({ ref: bob });
  await expect.poll(async () => (await s3.keys()).length, { timeout: 20_000 }).toBe(before + 8);
  server.process.kill("SIGKILL");
  await server.outcome;
  expect(await cutOff).toBe("cut off");
  s3.refuse(() => false);
  const clock = createFakeClock(Date.now() + 16 * MINUTE);
  const next = await startApp({ db, clock, config: { avatarBucket: s3.settings } });
  const left = async () => {
    await clock.advance(MINUTE);
    return (await s3.keys()).length;
  };
  await expect.poll(left, { timeout: 20_000 }).toBe(before + 3);
  expect((await visit(next, user?.avatarUrl ?? "")).status).toBe(200);
});
