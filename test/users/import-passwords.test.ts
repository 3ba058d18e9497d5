import { expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UpsertOutcome, UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { createLogger } from "../../src/logger.ts";
import { createPasswords } from "../../src/users/passwords/passwords.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { settledUserEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";
import { PASSWORD_VECTORS } from "./password-vectors.ts";

const app = await startApp();
const { db, clock } = app;
const { verify } = createPasswords({ db, clock, logger: createLogger("silent") });

const FIRST = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
const SECOND = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
const ref = (externalId: string) => ({ ref: { case: "externalId" as const, value: externalId } });

async function newProject() {
  const project = await app.project();
  const signIn = (externalId: string, password: string) =>
    verify({ projectId: project.id }, { by: "externalId", value: externalId }, password);
  const kept = async () => {
    const sql = "select p.phc, p.imported from passwords p join users u on u.id = p.user_id where p.project_id = $1";
    return (await db.pool.query(`${sql} order by u.external_id`, [project.id])).rows;
  };
  return { ...project, users: project.system(UserService), signIn, kept };
}

test("a user that is made with a hash signs in by its password", async () => {
  const { id, users, signIn, kept } = await newProject();
  const { user, created } = await users.upsertUser({ externalId: "alice", passwordHash: FIRST });
  expect(created).toBe(true);
  expect(await kept()).toEqual([{ phc: FIRST, imported: true }]);
  expect(await signIn("alice", "password")).toMatchObject({ userId: user?.id });
  expect(await signIn("alice", "passwort")).toBeUndefined();
  expect(JSON.stringify(await settledUserEvents(db, id))).not.toContain("argon2");
});

test("a hash takes the place of the password that is there; without one it stays; the same once more changes nothing", async () => {
  const { users, signIn, kept } = await newProject();
  const upsert = async (passwordHash: string, name = "Alice") => {
    const { results } = await users.batchUpsertUsers({
      users: [{ externalId: "alice", user: { name }, passwordHash }],
    });
    return [results[0]?.outcome, results[0]?.user?.etag];
  };
  expect(await upsert("")).toEqual([UpsertOutcome.CREATED, "v1"]);
  expect(await kept()).toEqual([]);
  await users.setPassword({ ref: ref("alice"), password: "correct horse" });
  expect(await upsert(FIRST)).toEqual([UpsertOutcome.CHANGED, "v3"]);
  expect(await upsert(FIRST)).toEqual([UpsertOutcome.UNCHANGED, "v3"]);
  expect(await upsert("")).toEqual([UpsertOutcome.UNCHANGED, "v3"]);
  expect(await upsert("", "Alicia")).toEqual([UpsertOutcome.CHANGED, "v4"]);
  expect(await kept()).toEqual([{ phc: FIRST, imported: true }]);
  expect(await upsert(SECOND, "Alice")).toEqual([UpsertOutcome.CHANGED, "v5"]);
  expect(await signIn("alice", "password")).toBeUndefined();
  expect(await signIn("alice", "correct horse")).toBeUndefined();
  expect(await signIn("alice", "U*U")).toBeDefined();
});

test("what one call of its own does with a hash is what a batch does", async () => {
  const { users, kept } = await newProject();
  const upsert = (passwordHash: string) => users.upsertUser({ externalId: "alice", passwordHash });
  const etag = async (passwordHash: string) => (await upsert(passwordHash)).user?.etag;
  expect([await etag(FIRST), await etag(FIRST), await etag(""), await etag(SECOND)]).toEqual(["v1", "v1", "v1", "v2"]);
  expect(await kept()).toEqual([{ phc: SECOND, imported: true }]);
});

test("a thousand users are made with their hashes in one call, and again without a change", async () => {
  const { id, users, signIn, kept } = await newProject();
  const batch = {
    users: Array.from({ length: 1_000 }, (_, i) => ({
      externalId: `u${String(i).padStart(3, "0")}`,
      user: { name: `User ${i}` },
      passwordHash: i % 3 === 0 ? "" : (PASSWORD_VECTORS[i % PASSWORD_VECTORS.length]?.[2] ?? ""),
    })),
  };
  const outcomes = async () => [
    ...new Set((await users.batchUpsertUsers(batch)).results.map(({ outcome }) => outcome)),
  ];
  expect(await outcomes()).toEqual([UpsertOutcome.CREATED]);
  const hashes = await kept();
  expect(hashes.map(({ phc }) => phc)).toEqual(batch.users.flatMap(({ passwordHash }) => passwordHash || []));
  expect(await outcomes()).toEqual([UpsertOutcome.UNCHANGED]);
  expect(await kept()).toEqual(hashes);
  expect(await settledUserEvents(db, id)).toHaveLength(1_000);
  expect(await signIn("u001", PASSWORD_VECTORS[1]?.[1] ?? "")).toBeDefined();
});

test("a hash that is not taken fails its item alone and names the field", async () => {
  const { users, kept } = await newProject();
  const good = { externalId: "good", passwordHash: FIRST };
  const bad = [
    "hunter2hunter2",
    "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
    `$2b$05$${"C".repeat(506)}`,
  ];
  for (const passwordHash of bad) {
    const refusal = await refusalOf(users.upsertUser({ externalId: "bad", passwordHash }));
    expect(refusal).toMatchObject({ reason: "REQUEST_INVALID", fields: ["password_hash"] });
    expect(JSON.stringify(refusal.error.details)).not.toContain(passwordHash);
  }
  const { results } = await users.batchUpsertUsers({
    users: [good, ...bad.map((passwordHash) => ({ externalId: "bad", passwordHash }))],
  });
  expect(results.map(({ outcome }) => outcome)).toEqual([UpsertOutcome.CREATED, 0, 0, 0]);
  expect(results.slice(1).map(({ error }) => error?.code)).toEqual([3, 3, 3]);
  expect(await kept()).toEqual([{ phc: FIRST, imported: true }]);
  expect(await reasonOf(users.getUser({ ref: ref("bad") }))).toBe("USER_NOT_FOUND");
});

test("an external id that comes twice ends with its last hash", async () => {
  const { users, kept } = await newProject();
  const { results } = await users.batchUpsertUsers({
    users: [
      { externalId: "alice", passwordHash: FIRST },
      { externalId: "alice", passwordHash: SECOND },
      { externalId: "alice" },
    ],
  });
  const { CREATED, CHANGED, UNCHANGED } = UpsertOutcome;
  expect(results.map(({ outcome }) => outcome)).toEqual([CREATED, CHANGED, UNCHANGED]);
  expect(await kept()).toEqual([{ phc: SECOND, imported: true }]);
});

test("a user whose external id is no longer taken for new ones gets its hash, without another event", async () => {
  const { id, users, kept } = await newProject();
  await users.upsertUser({ externalId: "alice" });
  await app.operator(ProjectService).updateProject({ projectId: id, settings: { userIdPattern: "^[0-9]+$" } });
  await clock.advance(1_000);
  const items = ["alice", "bob", "7"].map((externalId) => ({ externalId, passwordHash: FIRST }));
  const first = await users.batchUpsertUsers({ users: items });
  expect(first.results.map(({ outcome }) => outcome)).toEqual([UpsertOutcome.CHANGED, 0, UpsertOutcome.CREATED]);
  const second = await users.batchUpsertUsers({ users: items });
  expect(second.results.map(({ outcome }) => outcome)).toEqual([UpsertOutcome.UNCHANGED, 0, UpsertOutcome.UNCHANGED]);
  expect(await kept()).toHaveLength(2);
  expect(await settledUserEvents(db, id)).toHaveLength(2);
  const plain = await users.upsertUser({ externalId: "alice", user: { name: "Alice" } });
  expect(plain).toMatchObject({ created: false, user: { name: "Alice", etag: "v3" } });
  expect(await refusalOf(users.upsertUser({ externalId: "bob" }))).toMatchObject({ fields: ["external_id"] });
});

test("of hashes that race for one user one is left, and the user is made once", async () => {
  const { users, kept } = await newProject();
  const hashes = PASSWORD_VECTORS.map(([, , phc]) => phc);
  const calls = hashes.map((passwordHash) => users.upsertUser({ externalId: "alice", passwordHash }));
  const made = await Promise.all(calls);
  expect(made.filter(({ created }) => created)).toHaveLength(1);
  const rows = await kept();
  expect(rows).toHaveLength(1);
  expect(hashes).toContain(rows[0].phc);
});
