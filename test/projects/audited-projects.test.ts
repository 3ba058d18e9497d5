import { fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  AccessKeyCreatedEventSchema,
  AccessKeyRevokedEventSchema,
  ProjectUpdatedEventSchema,
} from "../../src/gen/muster/v1/event_pb.ts";
import { ExternalAuthService } from "../../src/gen/muster/v1/external_auth_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { auditEntries, changesIn } from "../support/audit-entries.ts";
import { settledEvents } from "../support/settled-events.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const { db, clock } = app;

/** What a project's events of a type say, in the order they were written. */
const dataOf = async (projectId: string, type: string) =>
  (await settledEvents(db, projectId)).filter((event) => event.type === type).map(({ data }) => data as never);

test("project.updated names what was changed, as a mask does; what is as it was changes nothing", async () => {
  const { id, system } = await app.project();
  const update = () =>
    system(ProjectService).updateProject({
      displayName: "Other",
      settings: { guestTtl: { seconds: 3_600n }, externalJwtMaxAge: { seconds: 60n }, usersMayList: true },
    });
  const { project } = await update();
  await clock.advance(1_000);
  expect((await update()).project).toEqual(project);
  const paths = ["settings.guest_ttl"];
  await system(ProjectService).updateProject({ updateMask: { paths } });
  const told = (await dataOf(id, "project.updated")).map((data) => fromJson(ProjectUpdatedEventSchema, data));
  const settings = ["external_jwt_max_age", "guest_ttl", "users_may_list"].map((name) => `settings.${name}`);
  expect(told.map(({ changedFields }) => changedFields)).toEqual([["display_name", ...settings], paths]);
});

test("an access key is told of when it is made, and once when it is revoked, by its id and never its secret", async () => {
  const { id, system } = await app.project();
  const { accessKey, key } = await system(ProjectService).createAccessKey({ displayName: "ci" });
  const keyId = key?.id ?? "";
  for (let times = 0; times < 2; times++) await system(ProjectService).revokeAccessKey({ keyId });
  const created = (await dataOf(id, "access_key.created")).map((data) => fromJson(AccessKeyCreatedEventSchema, data));
  expect(created.at(-1)).toMatchObject({ accessKeyId: keyId, displayName: "ci" });
  const revoked = (await dataOf(id, "access_key.revoked")).map((data) => fromJson(AccessKeyRevokedEventSchema, data));
  expect(revoked).toMatchObject([{ accessKeyId: keyId }]);
  const written = JSON.stringify([await settledEvents(db, id), await auditEntries(db, id)]);
  expect(written).not.toContain(accessKey.split("_").at(-1));
});

test("who deleted a project is known after it is gone", async () => {
  const { id } = await app.project();
  await app.operator(ProjectService).deleteProject({ projectId: id });
  expect((await auditEntries(db, id)).at(-1)).toMatchObject({
    method: "ProjectService/DeleteProject",
    actorKind: "operator",
    target: `project/${id}`,
    details: { deleted: true },
  });
});

test("each external key that a rotation makes, ends or removes has an entry", async () => {
  const { id, system } = await app.project();
  const rotate = async (revokePrevious = false) => {
    const request = { key: { case: "generate", value: {} }, revokePrevious } as const;
    return `external_key/${(await system(ExternalAuthService).rotateExternalKey(request)).key?.id}`;
  };
  const [first, second, third] = [await rotate(), await rotate(), await rotate()];
  const last = await rotate(true);
  const changes = (await changesIn(db, id)).filter(({ method }) => method.endsWith("/RotateExternalKey"));
  expect(changes.map(({ target, details }) => [target, details])).toEqual([
    [first, { created: true }],
    [first, { ended: true }],
    [second, { created: true }],
    [first, { removed: true }],
    [second, { ended: true }],
    [third, { created: true }],
    [second, { removed: true }],
    [third, { removed: true }],
    [last, { created: true }],
  ]);
});

test("a provider that is given what it has stays as it was, with the headers that nobody is told", async () => {
  const { id, system } = await app.project();
  const auth = system(ExternalAuthService);
  const config = {
    case: "http",
    value: { url: "https://api.example/check", headers: { authorization: "secret" }, response: { subject: "/id" } },
  } as const;
  const { provider: made } = await auth.createProvider({ provider: { id: "asked", config } });
  await clock.advance(1_000);
  const told = { id: "asked", displayName: "", disabled: false, config: made?.config ?? config };
  expect((await auth.updateProvider({ provider: told })).provider).toEqual(made);
  await auth.updateProvider({ provider: { ...told, displayName: "Asked" } });
  const changes = (await changesIn(db, id)).filter(({ target }) => target === "provider/asked");
  expect(changes.map(({ details }) => details)).toEqual([{ created: true }, { changed: ["display_name"] }]);
});
