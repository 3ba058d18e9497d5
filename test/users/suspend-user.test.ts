import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import type { Suspension } from "../../src/gen/muster/v1/suspension_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";

const { client, clock, db, project } = await startApp();

const alice = { ref: { case: "externalId", value: "alice" } } as const;
const nobody = { ref: { case: "externalId", value: "nobody" } } as const;
const me = { ref: { case: "me", value: true } } as const;
const NO_ID = "00000000-0000-7000-8000-000000000000";

const at = (ms: number) => timestampFromMs(clock.now() + ms);

/** A project with alice on its roll. */
async function withAlice() {
  const its = await project();
  const users = its.system(UserService);
  const { user } = await users.upsertUser({ externalId: "alice" });
  return { ...its, users, aliceId: user?.id ?? "" };
}

/** What a suspension says, its times in milliseconds from now. */
const told = ({ reason, startTime, endTime, blocksSignIn }: Suspension) => ({
  reason,
  start: startTime && timestampMs(startTime) - clock.now(),
  end: endTime && timestampMs(endTime) - clock.now(),
  blocksSignIn,
});

test("a suspension stands on its user, from now on and without end unless it says otherwise", async () => {
  const { users } = await withAlice();
  await users.suspendUser({ ref: alice, suspension: { reason: "spam" } });
  const later = { reason: "Ω", startTime: at(60_000), endTime: at(120_000), blocksSignIn: true };
  const { user } = await users.suspendUser({ ref: alice, suspension: later });
  expect(user?.suspensions.map(told)).toEqual([
    { reason: "spam", start: 0, end: undefined, blocksSignIn: false },
    { reason: "Ω", start: 60_000, end: 120_000, blocksSignIn: true },
  ]);
  expect(new Set(user?.suspensions.map(({ id }) => id)).size).toBe(2);
  expect((await users.getUser({ ref: alice })).user).toEqual(user);
  expect(user?.etag).toBe("v3");
  await users.upsertUser({ externalId: "alice", user: { name: "A", suspensions: [{ reason: "mine" }] } });
  expect((await users.getUser({ ref: alice })).user?.suspensions).toEqual(user?.suspensions);
});

test("the user and `.system` see its suspensions, other users do not", async () => {
  const { users, signedInUser, aliceId } = await withAlice();
  const [self, bob] = [await signedInUser("alice"), await signedInUser("bob")];
  await users.suspendUser({ ref: alice, suspension: { reason: "spam" } });
  expect((await client(UserService, self.token).getUser({ ref: me })).user?.suspensions).toHaveLength(1);
  const byId = { ref: { case: "id", value: aliceId } } as const;
  expect((await client(UserService, bob.token).getUser({ ref: byId })).user?.suspensions).toEqual([]);
});

test("only `.system` suspends and lifts", async () => {
  const { signedInUser } = await withAlice();
  const users = client(UserService, (await signedInUser("alice")).token);
  expect(await reasonOf(users.suspendUser({ ref: me, suspension: {} }))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await reasonOf(users.liftSuspension({ ref: me, suspensionId: NO_ID }))).toBe("PRINCIPAL_NOT_ALLOWED");
});

test("a suspension that is lifted is gone, and the others stay", async () => {
  const { users } = await withAlice();
  for (const reason of ["a", "b", "c"]) await users.suspendUser({ ref: alice, suspension: { reason } });
  const [, second] = (await users.getUser({ ref: alice })).user?.suspensions ?? [];
  const { user } = await users.liftSuspension({ ref: alice, suspensionId: second?.id ?? "" });
  expect(user?.suspensions.map(({ reason }) => reason)).toEqual(["a", "c"]);
  const again = users.liftSuspension({ ref: alice, suspensionId: second?.id ?? "" });
  expect(await reasonOf(again)).toBe("SUSPENSION_NOT_FOUND");
});

test("one of twenty callers that lift a suspension lifts it, and one event says so", async () => {
  const { id, users, aliceId } = await withAlice();
  const suspension = { reason: "spam", startTime: at(0), endTime: at(5_000), blocksSignIn: true };
  const { user } = await users.suspendUser({ ref: alice, suspension });
  const suspensionId = user?.suspensions[0]?.id ?? "";
  const lifts = await Promise.allSettled(
    Array.from({ length: 20 }, () => users.liftSuspension({ ref: alice, suspensionId })),
  );
  expect(lifts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  const events = (await settledUserEvents(db, id)).filter(({ type }) => type !== "user.created");
  const data = {
    user_id: aliceId,
    external_id: "alice",
    suspension: {
      id: suspensionId,
      reason: "spam",
      start_time: new Date(clock.now()).toISOString(),
      end_time: new Date(clock.now() + 5_000).toISOString(),
      blocks_sign_in: true,
    },
  };
  expect(events.map(({ type, userId, data }) => ({ type, userId, data }))).toEqual([
    { type: "user.suspended", userId: aliceId, data },
    { type: "user.suspension_lifted", userId: aliceId, data },
  ]);
});

test("of suspensions that are given at once none is lost, and a hundred is the most", async () => {
  const { users } = await withAlice();
  const calls = await Promise.allSettled(
    Array.from({ length: 110 }, (_, i) => users.suspendUser({ ref: alice, suspension: { reason: `${i}` } })),
  );
  expect(calls.filter(({ status }) => status === "fulfilled")).toHaveLength(100);
  const { user } = await users.getUser({ ref: alice });
  expect(new Set(user?.suspensions.map(({ reason }) => reason)).size).toBe(100);
  const oneMore = await refusalOf(users.suspendUser({ ref: alice, suspension: {} }));
  expect(oneMore).toMatchObject({ reason: "REQUEST_INVALID", fields: ["suspension"] });
});

test("a suspension that cannot be is refused", async () => {
  const { users } = await withAlice();
  const refused = async (suspension: object) => {
    const { reason, fields } = await refusalOf(users.suspendUser({ ref: alice, suspension }));
    return [reason, ...fields];
  };
  expect(await refused({ endTime: at(0) })).toEqual(["REQUEST_INVALID", "suspension.end_time"]);
  expect(await refused({ startTime: at(2), endTime: at(1) })).toEqual(["REQUEST_INVALID", "suspension.end_time"]);
  expect(await refused({ reason: "x".repeat(1_001) })).toEqual(["REQUEST_INVALID", "suspension.reason"]);
});

test("nobody who is not there is suspended", async () => {
  const { users, aliceId } = await withAlice();
  expect(await reasonOf(users.suspendUser({ ref: nobody, suspension: {} }))).toBe("USER_NOT_FOUND");
  expect(await reasonOf(users.liftSuspension({ ref: nobody, suspensionId: NO_ID }))).toBe("USER_NOT_FOUND");
  await users.deleteUser({ ref: alice });
  const gone = { ref: { case: "id", value: aliceId } } as const;
  expect(await reasonOf(users.suspendUser({ ref: gone, suspension: {} }))).toBe("USER_DELETED");
  expect(await reasonOf(users.liftSuspension({ ref: gone, suspensionId: NO_ID }))).toBe("USER_DELETED");
});
