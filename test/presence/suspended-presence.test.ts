import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { eventually } from "./presence-fixture.ts";

const here = await startApp();
const { db, clock } = here;
const there = await startApp({ db, clock, config: { encryptionKeys: here.config.encryptionKeys } });

const alice = { ref: { case: "externalId", value: "alice" } } as const;
const ONLINE = { status: "online", ttl: { seconds: 86_400n } };

/** A project where alice is online, and the statuses that a watcher of her sees on each server. */
async function aliceOnline() {
  const project = await here.project({ usersMayList: true });
  const users = project.system(UserService);
  const presence = project.system(PresenceService);
  await users.upsertUser({ externalId: "alice" });
  await presence.setPresence({ ref: alice, presence: ONLINE });
  const left = new AbortController();
  const watch = async ({ client }: typeof here) => {
    const seen: string[] = [];
    const stream = client(PresenceService, project.accessKey).watchPresence({ refs: [alice] }, { signal: left.signal });
    const read = async () => {
      for await (const { event } of stream)
        if (event.case === "update") seen.push(...event.value.presences.map(({ status }) => status));
        else if (event.case === "resync") seen.push("resync");
    };
    read().catch(() => {});
    await eventually(() => seen.length > 0);
    return seen;
  };
  const seen = await Promise.all([here, there].map(watch));
  return { project, users, presence, seen, leave: () => left.abort() };
}

const BOTH = [
  ["online", "offline"],
  ["online", "offline"],
];

describe("a suspension that blocks the sign-in", () => {
  test("ends the presence: it is offline, watchers are told on every server, and it is not counted", async () => {
    const { users, presence, seen, leave } = await aliceOnline();
    expect((await presence.countPresence({})).total).toBe(1n);
    await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    const { presence: now } = await presence.getPresence({ ref: alice });
    expect(now).toMatchObject({ status: "offline", nextStatus: "", step: 0 });
    expect((await presence.countPresence({})).total).toBe(0n);
    expect((await presence.listPresence({})).presences).toEqual([]);
    await eventually(() => seen.every((its) => its.length > 1));
    expect(seen).toEqual(BOTH);
    leave();
  });

  test("keeps anybody from setting one, until it is lifted: then it is as if none had been set", async () => {
    const { users, presence, seen, leave } = await aliceOnline();
    const { user } = await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
    expect(await reasonOf(presence.setPresence({ ref: alice, presence: ONLINE }))).toBe("USER_SUSPENDED");
    // Whoever reads later skips what lies between.
    await eventually(() => seen.every((its) => its.length > 1));
    await users.liftSuspension({ ref: alice, suspensionId: user?.suspensions[0]?.id ?? "" });
    expect((await presence.getPresence({ ref: alice })).presence?.status).toBe("offline");
    await presence.setPresence({ ref: alice, presence: ONLINE });
    await eventually(() => seen.every((its) => its.length > 2));
    expect(seen).toEqual(BOTH.map((its) => [...its, "online"]));
    leave();
  });

  test("ends it when it starts, not before", async () => {
    const { users, presence, seen, leave } = await aliceOnline();
    const startTime = timestampFromMs(clock.now() + 60_000);
    await users.suspendUser({ ref: alice, suspension: { startTime, blocksSignIn: true } });
    await clock.advance(59_000);
    expect((await presence.getPresence({ ref: alice })).presence?.status).toBe("online");
    await eventually(async () => {
      await clock.advance(500);
      return seen.every((its) => its.length > 1);
    });
    expect(seen).toEqual(BOTH);
    leave();
  });

  test("ends it though the server that took the call died before it did", async () => {
    const { project, users, presence, seen, leave } = await aliceOnline();
    const startTime = timestampFromMs(clock.now() + 3_600_000);
    await users.suspendUser({ ref: alice, suspension: { startTime, blocksSignIn: true } });
    await db.pool.query("update pending_suspensions set start_time = $2 where project_id = $1", [
      project.id,
      new Date(clock.now()),
    ]);
    await eventually(async () => {
      await clock.advance(500);
      return seen.every((its) => its.length > 1);
    });
    expect((await presence.getPresence({ ref: alice })).presence?.status).toBe("offline");
    leave();
  });
});

test("a suspension that does not block the sign-in leaves the presence as it is", async () => {
  const { users, presence, leave } = await aliceOnline();
  await users.suspendUser({ ref: alice, suspension: { blocksSignIn: false } });
  expect((await presence.getPresence({ ref: alice })).presence?.status).toBe("online");
  await presence.setPresence({ ref: alice, presence: ONLINE });
  leave();
});

test("sets that race with the suspension leave nobody online", async () => {
  const { users, presence, leave } = await aliceOnline();
  let over = false;
  const setting = Array.from({ length: 8 }, async () => {
    for (let n = 0; !over; n++)
      await presence.setPresence({ ref: alice, presence: { status: `s${n}` } }).catch(() => {
        over = true;
      });
  });
  await users.suspendUser({ ref: alice, suspension: { blocksSignIn: true } });
  await Promise.all(setting);
  expect((await presence.getPresence({ ref: alice })).presence?.status).toBe("offline");
  leave();
});
