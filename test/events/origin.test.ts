import { describe, expect, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { EventReader } from "../support/event-reader.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { emptyProject, listAll } from "./events-fixture.ts";

const app = await startApp();
const { client } = app;
const ORIGIN = "muster-origin";
const ada = { ref: { case: "externalId", value: "ada" } } as const;

test("what a caller says of where its changes come from stands in their events, of that call and no other", async () => {
  const project = await emptyProject(app);
  const as = (origin?: string) => client(UserService, project.accessKey, origin ? { [ORIGIN]: origin } : {});
  await as("crm").upsertUser({ externalId: "ada" });
  await as().upsertUser({ externalId: "bob" });
  await as("erp/7").batchUpsertUsers({ users: [{ externalId: "eve" }] });
  await as("crm").upsertUser({ externalId: "ada", user: { name: "Ada" } });
  await as("~".repeat(128)).deleteUser({ ref: ada });
  const { events } = await listAll(app, project, { types: ["user.*"] });
  expect(events.map(({ type, origin }) => [type, origin])).toEqual([
    ["user.created", "crm"],
    ["user.created", ""],
    ["user.created", "erp/7"],
    ["user.updated", "crm"],
    ["user.deleted", "~".repeat(128)],
  ]);
});

test("two systems that sync both ways, each passing over its own changes, come to rest", async () => {
  const project = await emptyProject(app);
  /** Writes each change of a user that somebody else made into itself, and says so, as a system does that hears of its own writing. */
  const system = (name: string, other: string) => {
    const users = client(UserService, project.accessKey, { [ORIGIN]: name });
    const writing: Promise<unknown>[] = [];
    const service = client(EventService, project.accessKey);
    const reader = new EventReader(service, { types: ["user.created", "user.updated"] }, () => {
      const news = reader.messages.at(-1)?.news;
      if (news?.case !== "event" || news.value.origin === name || news.value.origin === other) return;
      const count = writing.length;
      writing.push(users.upsertUser({ externalId: "ada", user: { bio: `${name} ${count}` } }));
    });
    return { reader, writing };
  };
  const [crm, shop] = [system("crm", "shop"), system("shop", "crm")];
  for (const { reader } of [crm, shop]) await expect.poll(() => reader.kinds).toContain("snapshotComplete");
  await project.system(UserService).upsertUser({ externalId: "ada", user: { name: "Ada" } });
  await expect.poll(() => crm.writing.length + shop.writing.length).toBe(2);
  await Promise.all([...crm.writing, ...shop.writing]);
  const { events } = await listAll(app, project, { types: ["user.*"] });
  for (const { reader } of [crm, shop])
    await expect.poll(() => reader.events.length, { timeout: 15_000 }).toBe(events.length);
  expect(events.map(({ origin }) => origin).toSorted()).toEqual(["", "crm", "shop"]);
  expect([crm.writing.length, shop.writing.length]).toEqual([1, 1]);
  for (const { reader } of [crm, shop]) reader.leave();
});

describe("is refused", () => {
  test("from a user and from one without a credential", async () => {
    const project = await app.project();
    const { token } = await project.signedInUser("ada");
    const me = { ref: { case: "me", value: true } } as const;
    const byUser = client(UserService, token, { [ORIGIN]: "crm" });
    const { reason, metadata } = await refusalOf(byUser.updateUser({ ref: me, user: { name: "Ada" } }));
    expect([reason, metadata["field"]]).toEqual(["PRINCIPAL_NOT_ALLOWED", ORIGIN]);
    const anonymous = client(SessionService, undefined, { [ORIGIN]: "crm" });
    const credential = { case: "guest", value: {} } as const;
    expect(await reasonOf(anonymous.createSession({ projectId: project.id, credential }))).toBe(
      "PRINCIPAL_NOT_ALLOWED",
    );
  });

  test.each(["", "a b", "x".repeat(129), "naïve"])("%j, which is none", async (origin) => {
    const project = await app.project();
    const users = client(UserService, project.accessKey, { [ORIGIN]: origin });
    const { reason, fields } = await refusalOf(users.upsertUser({ externalId: "ada" }));
    expect([reason, fields]).toEqual(["REQUEST_INVALID", [ORIGIN]]);
    expect((await listAll(app, project, { types: ["user.*"] })).events).toEqual([]);
  });
});
