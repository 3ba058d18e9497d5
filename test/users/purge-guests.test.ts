import { fromJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { connectionOptions, type Database, openDatabase } from "../../src/db/orm.ts";
import { query } from "../../src/db/statement.ts";
import { ENTITIES } from "../../src/entities.ts";
import { UserDeletedEventSchema } from "../../src/gen/muster/v1/event_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createIds } from "../../src/ids.ts";
import { createLogger } from "../../src/logger.ts";
import { beforeTimeAt, forgetAfter } from "../../src/revocations/revocations.ts";
import { DELETE_GUESTS } from "../../src/users/deletion-statements.ts";
import { type PurgePorts, purgeGuests } from "../../src/users/purge-guests.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { reasonOf } from "../support/refusal.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import { someImage } from "./avatar-fixture.ts";

const HOUR = 3_600_000;
const app = await startApp();
const { client, db, operator, project } = app;
const me = { ref: { ref: { case: "me", value: true } } } as const;
const never = new AbortController().signal;

/** The time of purges, that of the users at first; the app's own stands still, so that its own job never runs. */
let clock = createFakeClock();
beforeEach(() => {
  clock = createFakeClock(app.clock.now());
});

/** What a purge stands on; whom it announced is in `announced`. */
function purgePorts(over: Partial<PurgePorts> = {}) {
  const announced: string[] = [];
  const announceDeletion = (_: string, userId: string) => void announced.push(userId);
  const announce = { announceEnd: () => {}, announceDeletion, announceEvents: () => {} };
  return { announced, db, clock, newId: createIds(clock), tokenTtlMs: HOUR, ...announce, ...over };
}

/** The connections of another process. */
async function anotherPool(): Promise<Database> {
  const options = { poolSize: 2, statementTimeoutMs: 30_000 };
  const other = await openDatabase(db.address, ENTITIES, options, createLogger("silent"));
  onTestFinished(() => other[Symbol.asyncDispose]());
  return other;
}

/** Makes users that are guests, in one statement. Gives their ids. */
async function makeGuests({ id }: TestProject, count: number): Promise<string[]> {
  const { rows } = await db.pool.query<{ id: string }>(
    `insert into users (project_id, id, external_id, guest, create_time, update_time)
     select $1, gen_random_uuid(), 'guest' || n, true, $2, $2 from generate_series(1, $3) n returning id`,
    [id, new Date(clock.now()), count],
  );
  return rows.map((row) => row.id);
}

const idsOf = async (table: "users" | "deleted_users", { id }: TestProject) =>
  (await query<{ id: string }>(db.pool, { text: `select id from ${table} where project_id = $1` }, [id])).map(
    (row) => row.id,
  );

const deletedIn = async ({ id }: TestProject) =>
  (await settledEvents(db, id)).filter(({ type }) => type === "user.deleted").map(({ userId }) => userId ?? "");

const sorted = (ids: readonly string[]) => ids.toSorted();

test("a guest goes with all that is its own once its time is over, a user and a younger guest do not", async () => {
  const of = await project();
  const users = of.system(UserService);
  const user = await of.signedInUser("user");
  const guest = await of.signedInUser("guest");
  await db.pool.query("update users set guest = true where id = $1", [guest.id]);
  await client(UserService, guest.token).setAvatar({ ...me, image: await someImage(1) });
  const { user: before } = await client(UserService, guest.token).getUser(me);
  await clock.advance(HOUR);
  const [younger = ""] = await makeGuests(of, 1);
  await clock.advance(23 * HOUR - 1);
  const { announced, ...ports } = purgePorts();
  await purgeGuests(ports, never);
  expect(sorted(await idsOf("users", of))).toEqual(sorted([user.id, guest.id, younger]));
  await clock.advance(1);
  await purgeGuests(ports, never);

  expect(sorted(await idsOf("users", of))).toEqual(sorted([user.id, younger]));
  expect(announced).toEqual([guest.id]);
  expect(await reasonOf(users.getUser({ ref: { ref: { case: "id", value: guest.id } } }))).toBe("USER_DELETED");
  for (const table of ["tokens", "avatars"])
    expect((await db.pool.query(`select from ${table} where user_id = $1`, [guest.id])).rowCount).toBe(0);
  const ended = await query<{ forget: Date; cause: string }>(
    db.pool,
    { text: "select forget_after_time as forget, cause from revocations where user_id = $1 and before_time > $2" },
    [guest.id, new Date(clock.now())],
  );
  expect(ended).toEqual([
    { forget: forgetAfter(beforeTimeAt(clock.now()).getTime() + 30 * 24 * HOUR), cause: "USER_DELETED" },
  ]);
  const [event] = (await settledEvents(db, of.id)).filter(({ type }) => type === "user.deleted");
  expect(event).toMatchObject({ userId: guest.id, createTime: new Date(clock.now()) });
  const data = fromJson(UserDeletedEventSchema, event?.data as never);
  expect(data).toMatchObject({ userId: guest.id, externalId: "guest" });
  expect(before?.createTime && timestampDate(before.createTime).getTime()).toBe(clock.now() - 24 * HOUR);
});

test("each project says how long its guests live, and a change counts for those that are there", async () => {
  const short = await project({ guestTtl: { seconds: 60n } as never });
  const long = await project({ guestTtl: { seconds: 7_200n } as never });
  await makeGuests(short, 3);
  await makeGuests(long, 3);
  await clock.advance(60_000);
  await purgeGuests(purgePorts(), never);
  expect([(await idsOf("users", short)).length, (await idsOf("users", long)).length]).toEqual([0, 3]);
  await operator(ProjectService).updateProject({ projectId: long.id, settings: { guestTtl: { seconds: 60n } } });
  await purgeGuests(purgePorts(), never);
  expect(await idsOf("users", long)).toEqual([]);
});

test("four processes that purge at once delete each of a thousand guests once", async () => {
  const of = await project();
  const guests = sorted(await makeGuests(of, 1_000));
  await clock.advance(24 * HOUR);
  const processes = Array.from({ length: 4 }, () => purgePorts());
  await Promise.all(processes.map((ports) => purgeGuests(ports, never)));
  await purgeGuests(purgePorts(), never);
  expect(await idsOf("users", of)).toEqual([]);
  expect(sorted(await idsOf("deleted_users", of))).toEqual(guests);
  expect(sorted(await deletedIn(of))).toEqual(guests);
});

test("guests that become full users, or are deleted, while they are purged: each is either or, and told of once", async () => {
  const of = await project();
  const guests = await makeGuests(of, 600);
  const users = of.system(UserService);
  await clock.advance(24 * HOUR);
  const full: string[] = [];
  const makeFull = async (id: string) => {
    const { rowCount } = await db.pool.query("update users set guest = false where id = $1 and guest", [id]);
    if (rowCount) full.push(id);
  };
  const remove = (id: string): Promise<string> => {
    const deletion = users.deleteUser({ ref: { ref: { case: "id", value: id } } });
    return deletion.then(
      () => "deleted",
      () => reasonOf(deletion),
    );
  };
  const processes = [purgePorts({ db: await anotherPool() }), purgePorts({ db: await anotherPool() })];
  const purges = processes.map((ports) => purgeGuests(ports, never));
  const others = guests.toReversed().map((id, i) => (i % 3 === 0 ? remove(id) : makeFull(id)));
  const outcomes = new Set(await Promise.all(others));
  await Promise.all(purges);
  expect([...outcomes].filter((it) => it && it !== "deleted" && it !== "USER_DELETED")).toEqual([]);
  expect(processes.flatMap(({ announced }) => announced).length).toBeGreaterThan(0);
  await purgeGuests(purgePorts(), never);
  console.log(
    full.length,
    processes.map((p) => p.announced.length),
    outcomes,
  );
  expect(full.length).toBeGreaterThan(0);
  expect(sorted(await idsOf("users", of))).toEqual(sorted(full));
  const gone = sorted(guests.filter((id) => !full.includes(id)));
  expect(gone.length).toBeGreaterThan(0);
  expect(sorted(await deletedIn(of))).toEqual(gone);
  expect(sorted(await idsOf("deleted_users", of))).toEqual(gone);
});

test("a guest that somebody is making a full user is passed over without waiting, and the others go", async () => {
  const of = await project();
  const [held = "", ...others] = await makeGuests(of, 5);
  await clock.advance(24 * HOUR);
  const holder = new pg.Client(connectionOptions(db.address));
  await holder.connect();
  onTestFinished(() => holder.end());
  await holder.query("begin");
  await holder.query("update users set guest = false where id = $1", [held]);
  await purgeGuests(purgePorts(), never);
  expect(await idsOf("users", of)).toEqual([held]);
  await holder.query("commit");
  await purgeGuests(purgePorts(), never);
  expect(await idsOf("users", of)).toEqual([held]);
  expect(sorted(await deletedIn(of))).toEqual(sorted(others));
});

test("a purge that is broken off between two batches leaves whole users and whole deletions; the next one goes on", async () => {
  const of = await project();
  const guests = sorted(await makeGuests(of, 500));
  await clock.advance(24 * HOUR);
  const cut = new AbortController();
  const ports = purgePorts({ announceDeletion: () => cut.abort(new Error("the process ends")) });
  await expect(purgeGuests(ports, cut.signal)).rejects.toThrow("the process ends");
  const left = await idsOf("users", of);
  expect(left.length).toBeGreaterThan(0);
  expect(left.length).toBeLessThan(500);
  expect(sorted([...left, ...(await deletedIn(of))])).toEqual(guests);
  await purgeGuests(purgePorts(), never);
  expect(await idsOf("users", of)).toEqual([]);
  expect(sorted(await deletedIn(of))).toEqual(guests);
});

test("the guests of a project are found by their index, however many users there are", async () => {
  const roll = await testDatabase();
  await roll.pool.query(`
    with p as (
      insert into projects (id, display_name, create_time, update_time)
      select gen_random_uuid(), 'p', now(), now() from generate_series(1, 20) returning id)
    insert into users (project_id, id, external_id, guest, create_time, update_time)
    select p.id, gen_random_uuid(), 'u' || n, n % 100 = 0, now() - n * interval '1 minute', now()
    from p, generate_series(1, 2000) n`);
  await roll.pool.query("analyze users, projects");
  const values = [[createIds(clock)()], new Date(), new Date(), HOUR, "{}"];
  const explain = { text: `explain (format json) ${DELETE_GUESTS.text}` };
  const [row] = await query(roll.pool, explain, values);
  const plan = JSON.stringify(row);
  expect(plan).toContain(`"Index Name":"users_guest"`);
  expect(plan).not.toMatch(/"Seq Scan"[^{}]*"Relation Name":"users"/);
});
