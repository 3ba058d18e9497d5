import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { MusterError } from "../../src/errors.ts";
import type { Presence } from "../../src/presence/presence.ts";
import { updateWatch } from "../../src/presence/update-watch.ts";
import type { WatchOwner } from "../../src/presence/watch-change.ts";
import { testDatabase } from "../support/database.ts";
import {
  eventually,
  ids,
  killListeners,
  makeProject,
  makeUsers,
  Reader,
  set,
  startPresence,
  type WatchRequest,
} from "./presence-fixture.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const here = startPresence(db);
const there = startPresence(db);
const SYSTEM: WatchOwner = { projectId, userId: undefined };
afterAll(async () => {
  await there[Symbol.asyncDispose]();
  await here[Symbol.asyncDispose]();
});

/** A stream of the first server, once its snapshot is complete. */
async function watch(users: readonly string[], more: Partial<WatchRequest> = {}) {
  const reader = new Reader(here, { projectId, keys: ids(users), ...more });
  await reader.snapshot();
  const [opened] = reader.messages;
  return Object.assign(reader, { watchId: opened?.event.kind === "opened" ? opened.event.watchId : "" });
}

const change = (
  server: Presence,
  watchId: string,
  { add = [], remove = [] }: { add?: readonly string[]; remove?: readonly string[] },
  owner = SYSTEM,
) => updateWatch(server, { projectId: owner.projectId }, owner, { watchId, add: ids(add), remove: ids(remove) });

const reasonOf = (call: Promise<unknown>) =>
  call.then(
    () => "done",
    (error: unknown) => (error instanceof MusterError ? error.reason : error),
  );

describe.each([
  ["the server that holds the stream", here],
  ["another server", there],
])("a change that arrives at %s", (_, server) => {
  test("tells how those added are, and no more of those removed", async () => {
    const [staying = "", leaving = "", coming = ""] = await makeUsers(db, projectId, 3);
    await set(here, projectId, coming, { status: "busy" });
    await using reader = await watch([staying, leaving]);
    await change(server, reader.watchId, { add: [coming, staying], remove: [leaving, randomUUID()] });
    await reader.until(() => reader.statusOf(coming) === "busy");
    await Promise.all([staying, leaving, coming].map((user) => set(here, projectId, user, { status: "after" })));
    await reader.until(() => reader.statusOf(staying) === "after" && reader.statusOf(coming) === "after");
    expect(reader.historyOf(staying)).toEqual(["offline", "after"]);
    expect(reader.historyOf(leaving)).toEqual(["offline"]);
    expect(reader.kinds.filter((kind) => kind === "snapshotComplete")).toHaveLength(1);
  });

  test("may have thousands of users, and those that nobody has", async () => {
    const users = await makeUsers(db, projectId, 9_000);
    await using reader = await watch(users.slice(0, 1));
    const names = Array.from(
      { length: 500 },
      (_, n) => ({ by: "externalId", value: `né ${n} ${"x".repeat(100)}` }) as const,
    );
    const all = [...ids(users.slice(1)), ...names];
    await updateWatch(server, SYSTEM, SYSTEM, { watchId: reader.watchId, add: all, remove: [] });
    const seen = () => reader.messages.flatMap(({ event }) => (event.kind === "update" ? event.presences : []));
    await eventually(() => seen().length === 9_500);
    expect(new Set(seen().map(({ userId, externalId }) => `${userId} ${externalId}`)).size).toBe(9_500);
  });

  test("tells a user anew that is removed and added", async () => {
    const [user = ""] = await makeUsers(db, projectId, 1);
    await using reader = await watch([user]);
    await change(server, reader.watchId, { add: [user], remove: [user] });
    await eventually(() => reader.historyOf(user).length > 1);
    expect(reader.historyOf(user)).toEqual(["offline", "offline"]);
  });

  test("is refused whole where the list would come to more than 10,000", async () => {
    const users = await makeUsers(db, projectId, 2);
    await using reader = await watch(users);
    const many = Array.from({ length: 9_999 }, () => randomUUID());
    expect(await reasonOf(change(server, reader.watchId, { add: many }))).toBe("REQUEST_INVALID");
    expect(await reasonOf(change(server, reader.watchId, { add: many, remove: users.slice(1) }))).toBe("done");
    await set(here, projectId, users[1] ?? "", { status: "unseen" });
    await set(here, projectId, users[0] ?? "", { status: "seen" });
    await reader.until(() => reader.statusOf(users[0] ?? "") === "seen");
    expect(reader.historyOf(users[1] ?? "")).toEqual(["offline"]);
  });

  test("finds no stream that is over, and none of another caller", async () => {
    const [alice = "", bob = ""] = await makeUsers(db, projectId, 2);
    const reader = await watch([alice], { owner: { projectId, userId: alice } });
    const asks = (owner: WatchOwner, watchId = reader.watchId) =>
      reasonOf(change(server, watchId, { add: [bob] }, owner));
    expect(await asks({ projectId, userId: alice })).toBe("done");
    expect(await asks({ projectId, userId: bob })).toBe("WATCH_NOT_FOUND");
    expect(await asks(SYSTEM)).toBe("WATCH_NOT_FOUND");
    expect(await asks({ projectId: await makeProject(db), userId: alice })).toBe("WATCH_NOT_FOUND");
    expect(await asks({ projectId, userId: alice }, "what.ever")).toBe("WATCH_NOT_FOUND");
    await reader[Symbol.asyncDispose]();
    expect(await asks({ projectId, userId: alice })).toBe("WATCH_NOT_FOUND");
    expect(here.watches.open.size).toBe(0);
  });

  test("is in the resume token: those removed are new when they are listed again, those added are not", async () => {
    const [leaving = "", coming = ""] = await makeUsers(db, projectId, 2);
    await using reader = await watch([leaving]);
    await change(server, reader.watchId, { add: [coming], remove: [leaving] });
    await reader.until(() => reader.statusOf(coming) === "offline");
    const { resumeToken = new Uint8Array() } = reader.messages.at(-1) ?? {};
    await using next = await watch([leaving, coming], { resumeToken });
    expect([...next.state.keys()]).toEqual([leaving]);
  });
});

test("a change that gets lost between servers is made nevertheless, and once", async () => {
  const [one = "", two = ""] = await makeUsers(db, projectId, 2);
  await using reader = await watch([one]);
  await killListeners(db);
  await change(there, reader.watchId, { add: [two] });
  await reader.until(() => reader.statusOf(two) === "offline");
  expect(reader.historyOf(two)).toEqual(["offline"]);
});

test("a server that is gone holds no stream", async () => {
  const gone = startPresence(db);
  const users = await makeUsers(db, projectId, 1);
  const reader = new Reader(gone, { projectId, keys: ids(users) });
  await reader.snapshot();
  const [opened] = reader.messages;
  const watchId = opened?.event.kind === "opened" ? opened.event.watchId : "";
  await reader[Symbol.asyncDispose]();
  await gone[Symbol.asyncDispose]();
  expect(await reasonOf(change(there, watchId, { add: users }))).toBe("WATCH_NOT_FOUND");
});
