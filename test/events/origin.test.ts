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

test("what a caller says of where its changes come from stands in their events, of that call and no other", async () => {
  const project = await emptyProject(app);
  const as = (origin?: string) => client(UserService, project.accessKey, origin ? { [ORIGIN]: origin } : {});
  await as("crm").upsertUser({ externalId: "ada" });
  await as().upsertUser({ externalId: "bob" });
  await as("erp/7").batchUpsertUsers({ users: [{ externalId: "eve" }] });
  await as("~".repeat(128)).upsertUser({ externalId: "joe" });
  const { events } = await listAll(app, project, { types: ["user.created"] });
  expect(events.map(({ origin }) => origin)).toEqual(["crm", "", "erp/7", "~".repeat(128)]);
});

test("a system that writes down what it hears, and passes over what it wrote, comes to rest", async () => {
  const project = await emptyProject(app);
  const users = client(UserService, project.accessKey, { [ORIGIN]: "mirror" });
  const heard: string[] = [];
  const writing: Promise<unknown>[] = [];
  const reader = new EventReader(project.system(EventService), { types: ["user.created"] }, () => {
    const news = reader.messages.at(-1)?.news;
    if (news?.case !== "event") return;
    heard.push(news.value.origin);
    if (news.value.origin === "mirror") return;
    writing.push(users.upsertUser({ externalId: `mirror of ${news.value.userId}` }));
  });
  await expect.poll(() => reader.kinds).toContain("snapshotComplete");
  await project.system(UserService).upsertUser({ externalId: "ada" });
  await expect.poll(() => heard, { timeout: 15_000 }).toEqual(["", "mirror"]);
  await Promise.all(writing);
  expect((await listAll(app, project, { types: ["user.created"] })).events).toHaveLength(2);
  expect(heard).toEqual(["", "mirror"]);
  reader.leave();
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
