import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const { client, project } = await startApp();

type Case = "id" | "externalId" | "login" | "email" | "phone";
const by = (name: Case, value: string) => ({ ref: { ref: { case: name, value } } }) as const;

const PROFILE = {
  login: "Bob",
  name: "Bob",
  email: "bob@example.org",
  phone: "+4930123456",
  bio: "hi",
  birthdate: { year: 1999, month: 1, day: 2 },
  timeZone: "UTC",
  location: { latitude: 1, longitude: 2 },
  metadata: { a: 1 },
  privateMetadata: { secret: true },
  tags: ["x"],
  reputation: 7n,
};

test("a user is found by each of its identifiers, logins and emails without regard to case", async () => {
  const users = (await project()).system(UserService);
  const { user } = await users.upsertUser({ externalId: "bob", user: PROFILE });
  const refs = [
    by("id", user?.id ?? ""),
    by("externalId", "bob"),
    by("login", "bOB"),
    by("email", "BOB@Example.Org"),
    by("phone", "+4930123456"),
  ];
  for (const ref of refs) expect((await users.getUser(ref)).user).toEqual(user);
  expect(await reasonOf(users.getUser(by("externalId", "BOB")))).toBe("USER_NOT_FOUND");
});

test("other users see the public fields only, the user itself and `.system` see all of theirs", async () => {
  const { system, signedInUser } = await project();
  await system(UserService).upsertUser({ externalId: "bob", user: PROFILE });
  const bob = await signedInUser("bob");
  const carol = await signedInUser("carol");
  const whole = (await system(UserService).getUser(by("id", bob.id))).user;
  expect(whole).toMatchObject(PROFILE);
  expect((await client(UserService, bob.token).getUser({ ref: { ref: { case: "me", value: true } } })).user).toEqual(
    whole,
  );
  const seen = (await client(UserService, carol.token).getUser(by("id", bob.id))).user;
  const shown = Object.entries(seen ?? {}).filter(
    ([, value]) => value !== undefined && value !== "" && value !== false && !(Array.isArray(value) && !value.length),
  );
  expect(Object.fromEntries(shown)).toEqual({
    $typeName: "muster.v1.User",
    id: bob.id,
    externalId: "bob",
    login: "Bob",
    name: "Bob",
    bio: "hi",
    attributes: {},
    metadata: { a: 1 },
    tags: ["x"],
    reputation: 7n,
    createTime: whole?.createTime,
  });
});

test("in a batch each user is shown as its own case asks", async () => {
  const { system, signedInUser } = await project();
  await system(UserService).upsertUser({ externalId: "bob", user: PROFILE });
  const bob = await signedInUser("bob");
  await system(UserService).upsertUser({ externalId: "carol", user: { email: "carol@example.org" } });
  const { users } = await client(UserService, bob.token).batchGetUsers({
    refs: [by("externalId", "carol").ref, { ref: { case: "me", value: true } }],
  });
  expect(users.map(({ email }) => email)).toEqual(["", "bob@example.org"]);
});

test("a batch gives each user once, in the order asked, and lists who is missing and who is deleted", async () => {
  const users = (await project()).system(UserService);
  const [a, b, gone] = await Promise.all(
    ["a", "b", "gone"].map(async (externalId) => (await users.upsertUser({ externalId })).user?.id ?? ""),
  );
  await users.deleteUser(by("externalId", "gone"));
  const nobody = "00000000-0000-7000-8000-000000000000";
  const answer = await users.batchGetUsers({
    refs: [
      by("externalId", "b").ref,
      by("id", nobody).ref,
      by("id", a ?? "").ref,
      by("id", gone ?? "").ref,
      by("id", b ?? "").ref,
      by("login", "nobody").ref,
    ],
  });
  expect(answer.users.map(({ id }) => id)).toEqual([b, a]);
  expect(answer.missing.map(({ ref }) => ref.value)).toEqual([nobody, "nobody"]);
  expect(answer.deleted).toEqual([gone]);
});

test("who names himself has to be a user", async () => {
  const { system } = await project();
  const me = { ref: { ref: { case: "me", value: true } } } as const;
  expect(await reasonOf(system(UserService).getUser(me))).toBe("RESERVED_USER");
  expect(await reasonOf(client(UserService).getUser(me))).toBe("CREDENTIAL_MISSING");
});
