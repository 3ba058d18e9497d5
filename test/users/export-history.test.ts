import { expect, test } from "vitest";
import { startMailServer } from "../support/mail-server.ts";
import { startApp } from "../support/start-app.ts";
import { exportOf, fullUser, SUSPENSION } from "./export-fixture.ts";

const mail = await startMailServer();
const app = await startApp({
  config: { smtp: { host: "127.0.0.1", port: mail.port, tls: false }, mailFrom: "codes@muster.example" },
});
const { id, users } = await fullUser(app.db, await app.project());
const NOW = "2026-01-01T00:00:00.000Z";

const located = (value: string) => expect.objectContaining({ value });
const updated = (user: object) => ({
  id: expect.any(String),
  type: "user.updated",
  data: { user: expect.objectContaining({ id, ...user }) },
  create_time: NOW,
});

test("what happened to the user stands in it, in order", async () => {
  const { events } = await exportOf(users, id);
  expect(events).toEqual([
    {
      id: expect.any(String),
      type: "user.created",
      data: { user: expect.objectContaining({ id, name: "Zoë 🦆", private_metadata: { plan: "gold" } }) },
      create_time: NOW,
    },
    updated({ locators: ["Zoe@Example.org", "+4930123456"].map(located) }),
    updated({ locators: ["Zoe@Example.org", "+4930123456", "second@example.org"].map(located) }),
    { id: expect.any(String), type: "user.suspended", data: expect.anything(), create_time: NOW },
    { id: expect.any(String), type: "user.suspension_lifted", data: expect.anything(), create_time: NOW },
    {
      id: expect.any(String),
      type: "user.suspended",
      data: { user_id: id, external_id: "full", suspension: { ...SUSPENSION, blocks_sign_in: false } },
      origin: "moderation",
      create_time: NOW,
    },
    updated({ avatar_url: expect.stringContaining("/avatars/") }),
  ]);
});

test("it tells what was done to the user, by which kind of caller", async () => {
  const entries = (await exportOf(users, id))["audit_entries"] as object[];
  expect(entries[0]).toEqual({
    create_time: NOW,
    method: "UserService/UpsertUser",
    actor_kind: "system",
    details: { created: true },
  });
  expect(entries.at(-1)).toEqual({
    create_time: NOW,
    method: "SessionService/DeleteSession",
    actor_kind: "operator",
    target: "session/1",
    details: { others: true },
  });
});
