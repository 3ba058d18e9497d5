import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts";
import type { BatchUpsertUsersResult } from "../../src/gen/muster/v1/user_service_pb.ts";
import { UpsertOutcome, UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";

const { db, project } = await startApp();

const reasonIn = ({ error }: BatchUpsertUsersResult) => {
  const [info] = error?.details.map((detail) => anyUnpack(detail, ErrorInfoSchema)) ?? [];
  return info?.reason;
};

test("a thousand users are made in one call, each with its event, and again without one", async () => {
  const { id, system } = await project();
  const users = Array.from({ length: 1_000 }, (_, i) => ({
    externalId: `u${i}`,
    user: { name: `User ${i}`, tags: ["bulk", `t${i % 3}`], metadata: { i } },
  }));
  const first = await system(UserService).batchUpsertUsers({ users });
  expect(first.results.map(({ user }) => user?.externalId)).toEqual(users.map(({ externalId }) => externalId));
  expect(first.results.every(({ created }) => created)).toBe(true);
  expect(first.results[7]?.user).toMatchObject(users[7]?.user ?? {});
  const second = await system(UserService).batchUpsertUsers({ users });
  expect(second.results.some(({ created }) => created)).toBe(false);
  expect(second.results.map(({ user }) => user)).toEqual(first.results.map(({ user }) => user));
  expect(await settledUserEvents(db, id)).toHaveLength(1_000);
});

test("an item that fails does not hinder the others, and says why as a call of its own would", async () => {
  const { system } = await project();
  await system(UserService).upsertUser({ externalId: "holder", user: { login: "taken" } });
  const users = Array.from({ length: 50 }, (_, i) => ({ externalId: `u${i}`, user: { login: `login${i}` } }));
  users[10] = { externalId: "u10", user: { login: "TAKEN" } };
  users[20] = { externalId: "u20", user: { login: "no" } };
  users[30] = { externalId: "u30", user: { login: "login31" } };
  const { results } = await system(UserService).batchUpsertUsers({ users });
  const failed = results.flatMap((result, i) => (result.error ? [[i, reasonIn(result)]] : []));
  expect(failed).toEqual([
    [10, "LOGIN_TAKEN"],
    [20, "REQUEST_INVALID"],
    [31, "LOGIN_TAKEN"],
  ]);
  expect(results.filter(({ created }) => created)).toHaveLength(47);
});

test("an external id that comes twice is applied in the order given", async () => {
  const { system } = await project();
  const { results } = await system(UserService).batchUpsertUsers({
    users: [
      { externalId: "twice", user: { name: "first", bio: "kept" } },
      { externalId: "other" },
      { externalId: "twice", user: { name: "second" } },
      { user: { name: "generated" } },
    ],
  });
  expect(results.map(({ created }) => created)).toEqual([true, true, false, true]);
  expect(results[2]?.user).toMatchObject({ id: results[0]?.user?.id, name: "second", bio: "kept" });
});

test("racing batches of the same users in opposite order end without a deadlock and make each user once", async () => {
  const { system } = await project();
  const users = Array.from({ length: 200 }, (_, i) => ({ externalId: `u${i}`, user: { name: "n" } }));
  const batches = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      system(UserService).batchUpsertUsers({ users: i % 2 ? users : users.toReversed() }),
    ),
  );
  const results = batches.flatMap((batch) => batch.results);
  expect(results.filter(({ error }) => error)).toEqual([]);
  expect(results.filter(({ created }) => created)).toHaveLength(200);
});

/** Users of 16 kinds: each has other fields than the next. */
const differing = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    externalId: `u${i}`,
    user: {
      ...(i & 1 && { login: `login${i}` }),
      ...(i & 2 && { email: `user.${i}@example.com`, emailVerified: true }),
      ...(i & 4 && { tags: ["x"], metadata: { i } }),
      ...(i & 8 && { reputation: BigInt(i), birthdate: { year: 1990, month: 1, day: 1 + (i % 28) } }),
    },
  }));

test("users whose items write different fields are made as those of equal ones, each with its event", async () => {
  const { id, system } = await project();
  const users = differing(160);
  const first = await system(UserService).batchUpsertUsers({ users });
  expect(first.results.map(({ created, user }) => [created, user?.externalId])).toEqual(
    users.map(({ externalId }) => [true, externalId]),
  );
  for (const [i, { user }] of users.entries()) expect(first.results[i]?.user).toMatchObject(user);
  expect(first.results[2]?.user?.locators).toMatchObject([{ value: "user.2@example.com", verified: true }]);
  const one = (await project()).system(UserService);
  for (const [i, user] of users.slice(0, 16).entries()) {
    const { user: made } = await one.upsertUser(user);
    expect({ ...made, id: "", createTime: "", updateTime: "" }).toEqual({
      ...first.results[i]?.user,
      ...{ id: "", createTime: "", updateTime: "" },
    });
  }
  expect(await settledUserEvents(db, id)).toHaveLength(160);
  const second = await system(UserService).batchUpsertUsers({ users });
  expect(second.results.map(({ outcome }) => outcome)).toEqual(users.map(() => UpsertOutcome.UNCHANGED));
});

test("among items of different fields those there are, those that are refused and those that come twice are told apart", async () => {
  const { system } = await project();
  await system(UserService).batchUpsertUsers({ users: differing(20) });
  await system(UserService).upsertUser({ externalId: "holder", user: { login: "taken", email: "taken@example.com" } });
  const { results } = await system(UserService).batchUpsertUsers({
    users: [
      { externalId: "u1", user: { bio: "changed" } },
      { externalId: "new1", user: { name: "n" } },
      { externalId: "new2", user: { login: "TAKEN" } },
      { externalId: "new3", user: { login: "fresh", bio: "b" } },
      { externalId: "new4", user: { email: "Taken@example.com", name: "m" } },
      { externalId: "new1", user: { bio: "again" } },
      { externalId: "u2", user: {} },
      { user: { tags: ["generated"] } },
      { externalId: "new5", user: { login: "fresh" } },
    ],
  });
  expect(results.map((result) => reasonIn(result) ?? result.outcome)).toEqual([
    UpsertOutcome.CHANGED,
    UpsertOutcome.CREATED,
    "LOGIN_TAKEN",
    UpsertOutcome.CREATED,
    "LOCATOR_TAKEN",
    UpsertOutcome.CHANGED,
    UpsertOutcome.UNCHANGED,
    UpsertOutcome.CREATED,
    "LOGIN_TAKEN",
  ]);
  expect(results[5]?.user).toMatchObject({ name: "n", bio: "again" });
});

test("racing batches of items of different fields make each user once, with its event", async () => {
  const { id, system } = await project();
  const users = differing(160);
  const batches = await Promise.all(
    Array.from({ length: 8 }, (_, i) =>
      system(UserService).batchUpsertUsers({ users: i % 2 ? users : users.toReversed() }),
    ),
  );
  const results = batches.flatMap((batch) => batch.results);
  expect(results.filter(({ error }) => error)).toEqual([]);
  expect(results.filter(({ created }) => created)).toHaveLength(160);
  expect(await settledUserEvents(db, id)).toHaveLength(160);
});
