import { describe, expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { eventually } from "./presence-fixture.ts";

const app = await startApp();

const byId = (value: string) => ({ ref: { case: "id", value } }) as const;

/** A project with users, each with a presence: `links` are statuses with their spans in ms, 0 for one that stays. */
async function roll(...links: [status: string, ttlMs: number][][]) {
  const project = await app.project({ usersMayList: true });
  const presence = project.system(PresenceService);
  const ids = await Promise.all(
    links.map(async (chain) => {
      const { user } = await project.system(UserService).upsertUser({});
      await presence.setPresence({ ref: byId(user?.id ?? ""), presence: nested(chain) });
      return user?.id ?? "";
    }),
  );
  return { project, presence, ids };
}

type Nested = { status: string; ttl?: { seconds: bigint; nanos: number }; expiresTo?: Nested };

function nested(chain: [string, number][]): Nested {
  const [[status, ttlMs] = ["", 0], ...rest] = chain;
  return {
    status,
    ...(ttlMs > 0 && { ttl: { seconds: 0n, nanos: ttlMs * 1_000_000 } }),
    ...(rest.length > 0 && { expiresTo: nested(rest) }),
  };
}

const countsOf = async ({ presence }: Awaited<ReturnType<typeof roll>>) => {
  const { counts, total } = await presence.countPresence({});
  return { ...Object.fromEntries(counts.map(({ status, count }) => [status, Number(count)])), total: Number(total) };
};

test("users are counted by what is in force, which is the project's default for those that have nothing else", async () => {
  const all = await roll(
    [["online", 0]],
    [
      ["online", 900],
      ["offline", 0],
    ],
    [["busy", 0]],
    [["offline", 0]],
    [["gone", 10]],
  );
  await all.project.system(UserService).upsertUser({});
  await eventually(async () => !("gone" in (await countsOf(all))));
  expect(await countsOf(all)).toEqual({ online: 2, busy: 1, total: 3 });
  const { counts, countTime } = await all.presence.countPresence({});
  expect(counts.map(({ status }) => status)).toEqual(["online", "busy"]);
  const { presence } = await all.presence.getPresence({ ref: byId(all.ids[0] ?? "") });
  expect(Number(countTime?.seconds)).toBeGreaterThanOrEqual(Number(presence?.sinceTime?.seconds));
});

test("a count is of what was set before it was asked for, however many ask", async () => {
  const all = await roll([["online", 0]], [["away", 0]]);
  const [first = "", second = ""] = all.ids;
  for (let round = 0; round < 10; round++) {
    await all.presence.setPresence({ ref: byId(first), presence: { status: `round ${round}` } });
    const counts = await Promise.all(Array.from({ length: 20 }, () => countsOf(all)));
    expect(counts).toEqual(counts.map(() => ({ [`round ${round}`]: 1, away: 1, total: 2 })));
  }
  await all.project.system(UserService).deleteUser({ ref: byId(second) });
  expect(await countsOf(all)).toEqual({ "round 9": 1, total: 1 });
});

test("nobody of another project is counted or listed", async () => {
  await roll([["online", 0]]);
  const other = await roll([["busy", 0]]);
  expect(await countsOf(other)).toEqual({ busy: 1, total: 1 });
  expect((await other.presence.listPresence({})).presences.map(({ userId }) => userId)).toEqual(other.ids);
});

test("where there are many statuses the 100 most frequent are named, and all are in the total", async () => {
  const chains = Array.from({ length: 110 }, (_, n): [string, number][] => [[`s${n % 105}`, 0]]);
  const all = await roll(...chains);
  const { counts, total } = await all.presence.countPresence({});
  expect(counts).toHaveLength(100);
  expect(counts.slice(0, 5).map(({ count }) => count)).toEqual([2n, 2n, 2n, 2n, 2n]);
  expect(total).toBe(110n);
});

describe("a list", () => {
  test("gives everybody with a status once, page by page, as they are", async () => {
    const chains = Array.from({ length: 25 }, (_, n): [string, number][] => [[n % 5 === 0 ? "busy" : "online", 0]]);
    const all = await roll(...chains);
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await all.presence.listPresence({ status: "online", pageSize: 7, pageToken });
      expect(page.presences.every(({ status, externalId }) => status === "online" && externalId !== "")).toBe(true);
      expect(page.presences.length).toBeLessThanOrEqual(7);
      seen.push(...page.presences.map(({ userId }) => userId));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(seen.toSorted()).toEqual(all.ids.filter((_, n) => n % 5 > 0).toSorted());
    const whole = await all.presence.listPresence({});
    expect(whole.presences.map(({ userId }) => userId).toSorted()).toEqual(all.ids.toSorted());
    expect(whole.nextPageToken).toBe("");
  });

  test("by the default presence, or by a page token of another list, is refused", async () => {
    const all = await roll([["online", 0]], [["online", 0]]);
    const { nextPageToken } = await all.presence.listPresence({ pageSize: 1 });
    expect(await refusalOf(all.presence.listPresence({ status: "offline" }))).toMatchObject({ fields: ["status"] });
    const other = all.presence.listPresence({ status: "online", pageToken: nextPageToken });
    expect(await refusalOf(other)).toMatchObject({ reason: "REQUEST_INVALID", fields: ["page_token"] });
  });
});

test("users count and list where the project lets them list, and nowhere else", async () => {
  for (const [usersMayList, outcome] of [
    [true, "answered"],
    [false, "PRINCIPAL_NOT_ALLOWED"],
  ] as const) {
    const project = await app.project({ usersMayList });
    const { id, token } = await project.signedInUser();
    await project.system(PresenceService).setPresence({ ref: byId(id), presence: { status: "online" } });
    const client = app.client(PresenceService, token);
    const calls = [client.countPresence({}), client.listPresence({ status: "online" })];
    expect(
      await Promise.all(
        calls.map((call) =>
          call.then(
            () => "answered",
            () => reasonOf(call),
          ),
        ),
      ),
    ).toEqual([outcome, outcome]);
  }
});
