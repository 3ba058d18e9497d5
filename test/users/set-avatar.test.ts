import type { Client } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import type { Config } from "../../src/config.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startS3Server } from "../support/s3-server.ts";
import { startApp, type TestApp } from "../support/start-app.ts";
import { atSize, someImage, visit } from "./avatar-fixture.ts";

const s3 = await startS3Server();
const inDatabase = await startApp();
const inBucket = await startApp({ config: { avatarBucket: s3.settings } satisfies Partial<Config> });

const ref = (externalId: string) => ({ ref: { case: "externalId", value: externalId } }) as const;
const me = { ref: { case: "me", value: true } } as const;

/** How many images there are, wherever they are kept. */
const stores: { name: string; app: TestApp; settled(): Promise<void>; count(): Promise<number> }[] = [
  {
    name: "in the database",
    app: inDatabase,
    settled: async () => {},
    async count() {
      const { rows } = await inDatabase.db.pool.query<{ images: number }>(
        "select coalesce(sum(num_nonnulls(image_64, image_256, image_512)), 0)::int as images from avatars",
      );
      return rows[0]?.images ?? -1;
    },
  },
  {
    name: "in a bucket",
    app: inBucket,
    settled: async () =>
      await expect
        .poll(
          async () => {
            await inBucket.clock.advance(60_000);
            return (await inBucket.db.pool.query("select from avatar_removals")).rowCount;
          },
          { timeout: 30_000 },
        )
        .toBe(0),
    count: async () => (await s3.keys()).length,
  },
];

describe.for(stores)("kept $name", ({ app, settled, count }) => {
  test("SetAvatar gives the user an address for each size, and the same image changes nothing", async () => {
    const { id, system } = await app.project();
    const users = system(UserService);
    const { user: before } = await users.upsertUser({ externalId: "alice" });
    await app.clock.advance(1_000);
    const { user } = await users.setAvatar({ ref: ref("alice"), image: await someImage(1) });
    const url = user?.avatarUrl ?? "";
    expect(url).toMatch(new RegExp(`^http://muster\\.test/avatars/${id}/[0-9a-f]{64}/256\\.webp$`));
    expect(user).toMatchObject({ id: before?.id, etag: "v2" });
    expect(user?.updateTime).not.toEqual(before?.updateTime);
    expect((await users.getUser({ ref: ref("alice") })).user?.avatarUrl).toBe(url);
    for (const size of [64, 256, 512]) expect((await visit(app, atSize(url, size))).status).toBe(200);
    const images = await count();
    expect((await users.setAvatar({ ref: ref("alice"), image: await someImage(1) })).user).toEqual(user);
    await settled();
    expect(await count()).toBe(images);
    await users.deleteUser({ ref: ref("alice") });
    await settled();
  });

  test.for([
    ["SetAvatar with another image", (users, image) => users.setAvatar({ ref: ref("alice"), image })],
    ["DeleteAvatar", (users) => users.deleteAvatar({ ref: ref("alice") })],
    ["an avatar_url of one's own", (users) => users.upsertUser(withUrl("https://images.example/a.png"))],
    ["an avatar_url that is cleared", (users) => users.upsertUser(withUrl(""))],
    ["DeleteUser", (users) => users.deleteUser({ ref: ref("alice") })],
  ] as [string, (users: Users, image: Uint8Array) => Promise<unknown>][])(
    "%s removes the images of before",
    async ([name, end]) => {
      const users = (await app.project()).system(UserService);
      await settled();
      const before = await count();
      await users.upsertUser({ externalId: "alice" });
      const { user } = await users.setAvatar({ ref: ref("alice"), image: await someImage(2) });
      const url = user?.avatarUrl ?? "";
      expect(await count()).toBe(before + 3);
      await end(users, await someImage(3));
      for (const size of [64, 256, 512]) expect((await visit(app, atSize(url, size))).status).toBe(404);
      await settled();
      expect(await count()).toBe(name.startsWith("SetAvatar") ? before + 3 : before);
    },
  );

  test("with a project, all its images go", async () => {
    const { id, system } = await app.project();
    await settled();
    const before = await count();
    for (const externalId of ["alice", "bob"]) {
      await system(UserService).upsertUser({ externalId });
      await system(UserService).setAvatar({ ref: ref(externalId), image: await someImage(4) });
    }
    expect(await count()).toBe(before + 6);
    await app.operator(ProjectService).deleteProject({ projectId: id });
    await settled();
    expect(await count()).toBe(before);
  });

  test("two users of one image have it each: it ends for one and stays for the other", async () => {
    const users = (await app.project()).system(UserService);
    const urls = await Promise.all(
      ["alice", "bob"].map(async (externalId) => {
        await users.upsertUser({ externalId });
        const { user } = await users.setAvatar({ ref: ref(externalId), image: await someImage(5) });
        return user?.avatarUrl ?? "";
      }),
    );
    expect(urls[0]).not.toBe(urls[1]);
    await users.deleteUser({ ref: ref("alice") });
    await settled();
    const found = await Promise.all(urls.map((url) => visit(app, url)));
    expect(found.map(({ status }) => status)).toEqual([404, 200]);
  });

  test("of racing uploads one is the avatar, and the others leave nothing", async () => {
    const users = (await app.project()).system(UserService);
    await settled();
    const before = await count();
    await users.upsertUser({ externalId: "alice" });
    const images = await Promise.all(Array.from({ length: 10 }, (_, index) => someImage(index)));
    await Promise.all(images.map((image) => users.setAvatar({ ref: ref("alice"), image })));
    const { user } = await users.getUser({ ref: ref("alice") });
    expect((await visit(app, user?.avatarUrl ?? "")).status).toBe(200);
    expect(user?.etag).toBe("v11");
    await settled();
    expect(await count()).toBe(before + 3);
  });

  test("an upload that races the deletion of its user leaves nothing", async () => {
    const users = (await app.project()).system(UserService);
    await settled();
    const before = await count();
    for (let round = 0; round < 5; round++) {
      const { user } = await users.upsertUser({ externalId: "alice" });
      const byId = { ref: { case: "id", value: user?.id ?? "" } } as const;
      const upload = users.setAvatar({ ref: byId, image: await someImage(round) }).then(
        () => "answered",
        (error: unknown) => reasonOf(Promise.reject(error as Error)),
      );
      await users.deleteUser({ ref: byId });
      expect(["answered", "USER_DELETED"]).toContain(await upload);
    }
    // What was uploaded for nobody is removed when its time is over.
    await app.clock.advance(16 * 60_000);
    await settled();
    expect(await count()).toBe(before);
  });

  test("DeleteAvatar may be repeated, and clears any avatar_url", async () => {
    const users = (await app.project()).system(UserService);
    await users.upsertUser(withUrl("https://images.example/a.png"));
    const { user } = await users.deleteAvatar({ ref: ref("alice") });
    expect(user).toMatchObject({ avatarUrl: "", etag: "v2" });
    expect((await users.deleteAvatar({ ref: ref("alice") })).user).toEqual(user);
  });
});

type Users = Client<typeof UserService>;

const withUrl = (avatarUrl: string) => ({
  externalId: "alice",
  user: { avatarUrl },
  updateMask: { paths: ["avatar_url"] },
});

test("a user sets and deletes its own avatar and nobody else's", async () => {
  const { system, signedInUser } = await inDatabase.project();
  const { token } = await signedInUser("alice");
  await signedInUser("bob");
  const users = inDatabase.client(UserService, token);
  const { user } = await users.setAvatar({ ref: me, image: await someImage(6) });
  expect((await visit(inDatabase, user?.avatarUrl ?? "")).status).toBe(200);
  const image = await someImage(7);
  expect(await reasonOf(users.setAvatar({ ref: ref("bob"), image }))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await reasonOf(users.deleteAvatar({ ref: ref("bob") }))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect((await users.deleteAvatar({ ref: me })).user?.avatarUrl).toBe("");
  expect(await reasonOf(system(UserService).setAvatar({ ref: me, image }))).toBe("RESERVED_USER");
  expect(await reasonOf(inDatabase.client(UserService).setAvatar({ ref: me, image }))).toBe("CREDENTIAL_MISSING");
});

test("of a user that is not there nothing is decoded", async () => {
  const { system, signedInUser } = await inDatabase.project();
  const { id } = await signedInUser("alice");
  const users = system(UserService);
  await users.deleteUser({ ref: ref("alice") });
  const image = Buffer.from("no image");
  expect(await reasonOf(users.setAvatar({ ref: ref("alice"), image }))).toBe("USER_NOT_FOUND");
  expect(await reasonOf(users.setAvatar({ ref: { ref: { case: "id", value: id } }, image }))).toBe("USER_DELETED");
  expect(await reasonOf(users.deleteAvatar({ ref: { ref: { case: "id", value: id } } }))).toBe("USER_DELETED");
});

test("an avatar that was kept in the database is served from there when there is a bucket", async () => {
  const { system } = await inDatabase.project();
  const users = system(UserService);
  await users.upsertUser({ externalId: "alice" });
  const { user } = await users.setAvatar({ ref: ref("alice"), image: await someImage(8) });
  const later = await startApp({ db: inDatabase.db, config: { avatarBucket: s3.settings } });
  expect((await visit(later, user?.avatarUrl ?? "")).status).toBe(200);
});
