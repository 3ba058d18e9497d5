import { expect, test } from "vitest";
import { SigningAlgorithm } from "../../src/gen/muster/v1/project_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const { clock, db, operator, project } = await startApp();
const projects = operator(ProjectService);

test("a new project has every setting, with its default", async () => {
  const made = (await projects.createProject({ displayName: "Chat" })).project;
  expect(made).toMatchObject({ displayName: "Chat", createTime: { seconds: BigInt(clock.now() / 1_000) } });
  expect(made?.settings).toMatchObject({
    tokenTtl: { seconds: 86_400n },
    tokenTtlMax: { seconds: 2_592_000n },
    signingAlgorithm: SigningAlgorithm.ED25519,
    usersMayList: false,
    usersMayDeleteThemselves: true,
    linkByVerifiedEmail: false,
    externalJwtSingleUse: false,
    externalJwtMaxAge: { seconds: 3_600n },
    oneClickLogout: false,
    corsOrigins: [],
    defaultPresence: "offline",
    userIdPattern: "",
    guestTtl: { seconds: 86_400n },
    eventRetention: { seconds: 2_592_000n },
  });
  expect((await projects.getProject({ projectId: made?.id ?? "" })).project).toEqual(made);
});

test("an update writes the settings it names, and a mask returns them to their default", async () => {
  const { id } = await project({ defaultPresence: "gone" });
  const update = (request: object) => projects.updateProject({ projectId: id, ...request });
  const changed = await update({
    settings: { tokenTtl: { seconds: 60n }, corsOrigins: ["https://a.example"] },
  });
  expect(changed.project?.settings).toMatchObject({
    tokenTtl: { seconds: 60n },
    corsOrigins: ["https://a.example"],
    defaultPresence: "gone",
  });
  const reset = await update({ updateMask: { paths: ["settings.token_ttl", "settings.cors_origins"] } });
  expect(reset.project?.settings).toMatchObject({ tokenTtl: { seconds: 86_400n }, corsOrigins: [] });
  expect((await update({ displayName: "Renamed" })).project?.displayName).toBe("Renamed");
});

test("settings that make no sense are refused by the names of their fields", async () => {
  const fieldsOf = async (settings: object) =>
    (await refusalOf(projects.createProject({ displayName: "x", settings }))).fields;
  expect(await fieldsOf({ tokenTtl: { seconds: 10n } })).toEqual(["settings.token_ttl"]);
  expect(await fieldsOf({ tokenTtl: { seconds: 7_200n }, tokenTtlMax: { seconds: 3_600n } })).toEqual([
    "settings.token_ttl",
  ]);
  for (const seconds of [59n, 2_592_001n])
    expect(await fieldsOf({ guestTtl: { seconds } })).toEqual(["settings.guest_ttl"]);
  for (const seconds of [86_399n, 31_536_001n])
    expect(await fieldsOf({ eventRetention: { seconds } })).toEqual(["settings.event_retention"]);
  expect(await fieldsOf({ userIdPattern: "(a" })).toEqual(["settings.user_id_pattern"]);
  expect(await fieldsOf({ corsOrigins: ["https://a.example/path"] })).toEqual(["settings.cors_origins[0]"]);
  expect((await refusalOf(projects.createProject({ displayName: "" }))).fields).toEqual(["display_name"]);
  const { id } = await project();
  const mask = { paths: ["settings.nope"] };
  expect((await refusalOf(projects.updateProject({ projectId: id, updateMask: mask }))).fields).toEqual([
    "update_mask",
  ]);
});

test("the list gives every project once, oldest first, over its pages", async () => {
  const made: string[] = [];
  for (let i = 0; i < 5; i++) made.push((await project()).id);
  const seen: string[] = [];
  let pageToken = "";
  do {
    const page = await projects.listProjects({ pageSize: 2, pageToken });
    seen.push(...page.projects.map(({ id }) => id));
    pageToken = page.nextPageToken;
  } while (pageToken);
  expect(seen).toEqual(seen.toSorted());
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((id) => made.includes(id))).toEqual(made);
  expect((await refusalOf(projects.listProjects({ pageToken: "nonsense" }))).fields).toEqual(["page_token"]);
});

test("a deleted project takes everything with it, and its key is refused within a second", async () => {
  const { id, system } = await project();
  const users = system(UserService);
  await users.upsertUser({ externalId: "alice" });
  await projects.deleteProject({ projectId: id });
  await clock.advance(1_000);
  expect(await reasonOf(users.upsertUser({ externalId: "alice" }))).toBe("CREDENTIAL_INVALID");
  expect(await reasonOf(projects.getProject({ projectId: id }))).toBe("PROJECT_NOT_FOUND");
  expect(await reasonOf(projects.deleteProject({ projectId: id }))).toBe("PROJECT_NOT_FOUND");
  const tables = ["access_keys", "signing_keys", "users", "deleted_users", "tokens", "presences", "events"];
  for (const table of tables) {
    const left = await db.pool.query(`select from ${table} where project_id = $1`, [id]);
    expect([table, left.rowCount]).toEqual([table, 0]);
  }
});

test("`.system` reaches its own project and no other, and makes or deletes none", async () => {
  const mine = await project();
  const other = await project();
  const own = mine.system(ProjectService);
  expect((await own.getProject({})).project?.id).toBe(mine.id);
  expect((await own.updateProject({ displayName: "Mine" })).project?.displayName).toBe("Mine");
  for (const call of [
    own.getProject({ projectId: other.id }),
    own.updateProject({ projectId: other.id, displayName: "x" }),
    own.createAccessKey({ projectId: other.id }),
    own.listAccessKeys({ projectId: other.id }),
  ])
    expect(await reasonOf(call)).toBe("PROJECT_NOT_FOUND");
  expect(await reasonOf(own.createProject({ displayName: "x" }))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await reasonOf(own.deleteProject({ projectId: mine.id }))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await reasonOf(own.listProjects({}))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect((await refusalOf(projects.getProject({}))).fields).toEqual(["project_id"]);
});
