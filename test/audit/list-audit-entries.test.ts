import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { createSealKeys } from "../../src/audit/seal-keys.ts";
import { AuditService } from "../../src/gen/muster/v1/audit_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { auditTrail } from "./audit-fixture.ts";

const app = await startApp();
const { db } = app;
const trail = { ...auditTrail(db), keys: createSealKeys(app.config.encryptionKeys) };
const operator = app.operator(AuditService);

/** All entries of a query, page by page; how many pages they were on. */
async function listAll(request: object, pageSize: number) {
  const entries = [];
  let [pageToken, pages] = ["", 0];
  do {
    const page = await operator.listAuditEntries({ ...request, pageSize, pageToken });
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken);
  return { entries, pages };
}

test("a change is listed at once, with who made it to whom, and is sealed soon", async () => {
  const project = await app.project();
  const { user } = await project.system(UserService).upsertUser({ externalId: "alice" });
  const list = async () => (await project.system(AuditService).listAuditEntries({})).entries;
  const [entry] = await list();
  expect(entry).toMatchObject({
    method: "UserService/UpsertUser",
    actorKind: "system",
    actorId: project.accessKey.split("_")[1],
    userId: user?.id,
    place: expect.stringMatching(/^\d+\/\d+$/),
    sealed: false,
  });
  const sealed = async () => {
    await app.clock.advance(11_000);
    return (await list()).every((it) => it.sealed);
  };
  await expect.poll(sealed, { timeout: 20_000, interval: 100 }).toBe(true);
});

test("pages go from the newest to the oldest, and what is written meanwhile moves nothing", async () => {
  const projectId = trail.project();
  await trail.write(projectId, 25);
  const first = await operator.listAuditEntries({ projectId, pageSize: 10 });
  await trail.write(projectId, 5);
  const rest = await operator.listAuditEntries({ projectId, pageSize: 15, pageToken: first.nextPageToken });
  const requests = [...first.entries, ...rest.entries].map(({ requestId }) => requestId);
  expect(requests).toEqual(Array.from({ length: 25 }, (_, index) => `request-${25 - index}`));
  expect(rest.nextPageToken).toBe("");
  expect((await listAll({ projectId }, 7)).entries).toHaveLength(30);
});

test("entries are asked for by user, actor, method and time", async () => {
  const projectId = trail.project();
  const start = trail.clock.now();
  await trail.write(projectId, 5);
  await trail.seal();
  await trail.clock.advance(60_000);
  await trail.write(projectId, 5);
  const actorId = "01990000-0000-7000-8000-000000000002";
  await db.pool.query(
    "update audit_entries set actor_kind = 'user', actor_id = $2, method = 'job/guests' where project_id = $1 and request_id = 'request-2'",
    [projectId, actorId],
  );
  const count = async (request: object) => (await operator.listAuditEntries({ projectId, ...request })).entries.length;
  const { entries } = await operator.listAuditEntries({ projectId });
  expect(await count({ userId: entries[0]?.userId })).toBe(5);
  expect(await count({ actorId })).toBe(2);
  expect(await count({ actorKind: "user" })).toBe(2);
  expect(await count({ method: "job/guests", userId: entries[0]?.userId })).toBe(1);
  expect(await count({ afterTime: timestampFromMs(start + 62_000) })).toBe(4);
  expect(await count({ beforeTime: timestampFromMs(start + 62_000) })).toBe(6);
  expect(await count({ afterTime: timestampFromMs(start + 4_000), beforeTime: timestampFromMs(start + 61_000) })).toBe(
    2,
  );
});

test("what no index finds is looked for 10,000 entries at a time: pages may be empty, and nothing is left out", async () => {
  const projectId = trail.project();
  await trail.write(projectId, 1);
  await trail.write(projectId, 20_500);
  await db.pool.query(
    "update audit_entries set method = 'job/guests' where project_id = $1 and sequence = (select min(sequence) from audit_entries where project_id = $1)",
    [projectId],
  );
  const { entries, pages } = await listAll({ projectId, method: "job/guests" }, 10);
  expect([entries.length, pages]).toEqual([1, 3]);
});

test("the operator lists what was done in a project that is deleted, and has to name one", async () => {
  const project = await app.project();
  await project.system(UserService).upsertUser({ externalId: "alice" });
  await app.operator(ProjectService).deleteProject({ projectId: project.id });
  const { entries } = await operator.listAuditEntries({ projectId: project.id });
  expect(entries.map(({ method }) => method)).toContain("UserService/UpsertUser");
  expect(await refusalOf(operator.listAuditEntries({}))).toMatchObject({ reason: "REQUEST_INVALID" });
});

test("a page token is good for its own query alone, and users list nothing", async () => {
  const projectId = trail.project();
  await trail.write(projectId, 3);
  const { nextPageToken: pageToken } = await operator.listAuditEntries({ projectId, pageSize: 1 });
  const other = operator.listAuditEntries({ projectId, method: "job/guests", pageToken });
  expect(await refusalOf(other)).toMatchObject({ reason: "REQUEST_INVALID" });
  const project = await app.project();
  const { token } = await project.signedInUser("alice");
  const byUser = app.client(AuditService, token).listAuditEntries({});
  expect(await refusalOf(byUser)).toMatchObject({ reason: "PRINCIPAL_NOT_ALLOWED" });
});
