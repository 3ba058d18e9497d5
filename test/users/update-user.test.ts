import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { behindAnother } from "../support/behind-another.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const { client, project } = await startApp();

const alice = { ref: { case: "externalId", value: "alice" } } as const;
const me = { ref: { case: "me", value: true } } as const;

test("an update changes what it names and leaves the rest", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice", user: { name: "A", bio: "B", login: "alice" } });
  expect((await users.updateUser({ ref: alice, user: { name: "A2" } })).user).toMatchObject({ name: "A2", bio: "B" });
  const { user } = await users.updateUser({ ref: alice, user: {}, updateMask: { paths: ["bio", "login"] } });
  expect([user?.name, user?.bio, user?.login]).toEqual(["A2", "", ""]);
});

test("an etag lets one of two racing writers through", async () => {
  const users = (await project()).system(UserService);
  const { user } = await users.upsertUser({ externalId: "alice", user: { name: "A" } });
  const etag = user?.etag ?? "";
  const writers = Array.from({ length: 20 }, (_, i) => users.updateUser({ ref: alice, user: { name: `w${i}` }, etag }));
  const outcomes = await Promise.all(
    writers.map((writer) =>
      writer.then(
        () => "written",
        () => reasonOf(writer),
      ),
    ),
  );
  expect(outcomes.filter((outcome) => outcome === "written")).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === "ETAG_MISMATCH")).toHaveLength(19);
  expect(await reasonOf(users.updateUser({ ref: alice, user: { name: "x" }, etag: "nonsense" }))).toBe("ETAG_MISMATCH");
});

test("one that waits for another writer of the user is held against what that has written", async () => {
  const { db, project } = await startApp();
  const tenant = await project();
  const users = tenant.system(UserService);
  const { user } = await users.upsertUser({ externalId: "alice", user: { bio: "A" } });
  const written = "update users set bio = 'B', version = version + 1 where project_id = $1 and external_id = 'alice'";
  const behindWriter = <T>(call: () => Promise<T>) => behindAnother(db, written, [tenant.id], call);
  const stale = { ref: alice, user: { bio: "C" }, etag: user?.etag ?? "" };
  expect(await behindWriter(() => reasonOf(users.updateUser(stale)))).toBe("ETAG_MISMATCH");
  await users.updateUser({ ref: alice, user: { bio: "A" } });
  const updated = await behindWriter(() => users.updateUser({ ref: alice, user: { bio: "B" } }));
  expect(updated.user?.bio).toBe("B");
  await users.updateUser({ ref: alice, user: { bio: "A" } });
  const upserted = await behindWriter(() => users.upsertUser({ externalId: "alice", user: { bio: "B" } }));
  expect([upserted.user?.bio, upserted.created]).toEqual(["B", false]);
  expect((await users.getUser({ ref: alice })).user).toEqual(upserted.user);
});

test("a hundred racing updates of different fields are all there in the end", async () => {
  const users = (await project()).system(UserService);
  await users.upsertUser({ externalId: "alice" });
  const fields = ["name", "bio", "login", "website"] as const;
  const value = (field: string, i: number) => (field === "website" ? `https://example.org/${i}` : `${field}${i}`);
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => {
      const field = fields[i % fields.length] ?? "name";
      return users.updateUser({ ref: alice, user: { [field]: value(field, i) } });
    }),
  );
  const { user } = await users.getUser({ ref: alice });
  for (const field of fields) expect(user?.[field]).toMatch(/\d+$/);
  expect(user?.etag).toBe("v101");
});

test("a user changes its own profile, but not what only `.system` may set, and nobody else's", async () => {
  const { signedInUser } = await project();
  const { token } = await signedInUser("alice");
  const users = client(UserService, token);
  expect((await users.updateUser({ ref: me, user: { name: "Me", bio: "mine" } })).user?.name).toBe("Me");
  expect((await users.updateUser({ ref: alice, user: { name: "Me2" } })).user?.name).toBe("Me2");
  expect(await refusalOf(users.updateUser({ ref: me, user: { reputation: 99n } }))).toMatchObject({
    reason: "PRINCIPAL_NOT_ALLOWED",
    metadata: { field: "user.reputation" },
  });
  const mask = { paths: ["private_metadata"] };
  expect(await reasonOf(users.updateUser({ ref: me, user: {}, updateMask: mask }))).toBe("PRINCIPAL_NOT_ALLOWED");
  await signedInUser("other");
  const other = { ref: { case: "externalId", value: "other" } } as const;
  expect(await reasonOf(users.updateUser({ ref: other, user: { name: "x" } }))).toBe("PRINCIPAL_NOT_ALLOWED");
  const nobody = { ref: { case: "externalId", value: "nobody" } } as const;
  expect(await reasonOf(users.updateUser({ ref: nobody, user: { name: "x" } }))).toBe("PRINCIPAL_NOT_ALLOWED");
});

test("whom there is not cannot be changed", async () => {
  const users = (await project()).system(UserService);
  expect(await reasonOf(users.updateUser({ ref: alice, user: { name: "x" } }))).toBe("USER_NOT_FOUND");
  expect((await refusalOf(users.updateUser({ ref: alice }))).fields).toEqual(["user"]);
});
