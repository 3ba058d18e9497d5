import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { WebhookDisabledCause, WebhookPayload, type WebhookSchema } from "../../src/gen/muster/v1/webhook_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

type WebhookInit = MessageInitShape<typeof WebhookSchema>;

const app = await startApp();
const { db, clock } = app;
const URL = "https://receiver.example/events?of=muster";

const newProject = async () => {
  const project = await app.project();
  return { ...project, events: project.system(EventService) };
};
const newWebhook = async (webhook: WebhookInit = {}) => {
  const project = await newProject();
  const made = await project.events.createWebhook({ webhook: { url: URL, ...webhook } });
  if (!made.webhook) throw new Error("made none");
  return { ...project, webhook: made.webhook, secret: made.secret, id: made.webhook.id };
};
/** What history says of a webhook: by which calls it was changed, and what of it. */
async function auditOf(id: string) {
  const { rows } = await db.pool.query<{ method: string; details: { changed?: string[] } | null }>(
    "select method, details from audit_entries where target = $1 order by transaction_id, sequence",
    [`webhook/${id}`],
  );
  return rows.map(({ method, details }) => [method, details?.changed]);
}

describe("a webhook", () => {
  test("is made with what the contract fills in, and listed as it was made, the first one first", async () => {
    const { events } = await newProject();
    const { webhook: first, secret } = await events.createWebhook({ webhook: { url: URL } });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(first).toMatchObject({
      url: URL,
      description: "",
      eventTypes: [],
      payload: WebhookPayload.FULL,
      maxConcurrency: 8,
      disabled: false,
      disabledCause: WebhookDisabledCause.UNSPECIFIED,
      etag: "v1",
    });
    expect(first?.createTime).toEqual(first?.updateTime);
    expect([first?.disabledTime, first?.failingSince, first?.previousSecretExpireTime]).toEqual(Array(3));
    const settings = {
      url: "https://other.example",
      description: "Syncs the CRM",
      eventTypes: ["user.created", "session.*"],
      payload: WebhookPayload.THIN,
      maxConcurrency: 64,
      disabled: true,
    };
    const { webhook: second } = await events.createWebhook({ webhook: settings });
    expect(second).toMatchObject({ ...settings, disabledCause: WebhookDisabledCause.REQUESTED });
    expect(second?.disabledTime).toEqual(second?.createTime);
    expect((await events.listWebhooks({})).webhooks).toEqual([first, second]);
  });

  test("tells its secret once, and keeps it sealed", async () => {
    const { events, secret, id } = await newWebhook();
    const { webhook } = await events.updateWebhook({ webhook: { id, description: "x" } });
    const answers = JSON.stringify([webhook, (await events.listWebhooks({})).webhooks], (_, value) =>
      typeof value === "bigint" ? String(value) : value,
    );
    const bytes = Buffer.from(secret.slice(6), "base64");
    expect(answers).not.toContain(secret.slice(6));
    const { rows } = await db.pool.query("select w::text as text, sealed_secrets from webhooks w where id = $1", [id]);
    expect(rows[0].sealed_secrets.includes(bytes)).toBe(false);
    expect(rows[0].sealed_secrets.includes(secret.slice(6))).toBe(false);
    expect(rows[0].text).not.toContain(secret.slice(6));
  });

  test("is one of 20 at most, however many are made at once, and there is room again after one goes", async () => {
    const { events } = await newProject();
    const calls = Array.from({ length: 25 }, () => events.createWebhook({ webhook: { url: URL } }));
    const reasons = await Promise.all(
      calls.map((call) =>
        call.then(
          () => "made",
          () => reasonOf(call),
        ),
      ),
    );
    expect(reasons.filter((it) => it === "made")).toHaveLength(20);
    expect(reasons.filter((it) => it === "WEBHOOKS_FULL")).toHaveLength(5);
    const { webhooks } = await events.listWebhooks({});
    await events.deleteWebhook({ webhookId: webhooks[0]?.id ?? "" });
    await events.createWebhook({ webhook: { url: URL } });
    expect((await events.listWebhooks({})).webhooks).toHaveLength(20);
  });

  test("has to be there to be changed, and may be deleted where it is not", async () => {
    const { events, id } = await newWebhook();
    for (const _ of [1, 2]) await events.deleteWebhook({ webhookId: id });
    expect(await reasonOf(events.updateWebhook({ webhook: { id, disabled: true } }))).toBe("WEBHOOK_NOT_FOUND");
    expect(await reasonOf(events.rotateWebhookSecret({ webhookId: id }))).toBe("WEBHOOK_NOT_FOUND");
    expect(await auditOf(id)).toEqual([
      ["EventService/CreateWebhook", undefined],
      ["EventService/DeleteWebhook", undefined],
    ]);
  });

  test("goes with its project", async () => {
    const { id, webhook } = await newWebhook();
    const project = await db.pool.query("select project_id as id from webhooks where id = $1", [webhook.id]);
    await db.pool.query("delete from projects where id = $1", [project.rows[0].id]);
    expect((await db.pool.query("select 1 from webhooks where id = $1", [id])).rows).toEqual([]);
  });
});

describe("an update", () => {
  test("without a mask changes what is set, and with one what it names", async () => {
    const { events, id, webhook } = await newWebhook({ description: "A", eventTypes: ["user.*"], maxConcurrency: 2 });
    await clock.advance(1_000);
    const { webhook: set } = await events.updateWebhook({ webhook: { id, url: "https://new.example" } });
    expect(set).toEqual({ ...webhook, url: "https://new.example", etag: "v2", updateTime: set?.updateTime });
    expect(set?.updateTime).not.toEqual(webhook.updateTime);
    const { webhook: cleared } = await events.updateWebhook({
      webhook: { id, description: "ignored", payload: WebhookPayload.THIN },
      updateMask: { paths: ["event_types", "max_concurrency", "payload"] },
    });
    expect(cleared).toMatchObject({
      description: "A",
      eventTypes: [],
      maxConcurrency: 8,
      payload: WebhookPayload.THIN,
    });
    expect((await events.listWebhooks({})).webhooks).toEqual([cleared]);
    expect((await auditOf(id)).slice(1)).toEqual([
      ["EventService/UpdateWebhook", ["url"]],
      ["EventService/UpdateWebhook", ["event_types", "payload", "max_concurrency"]],
    ]);
  });

  test("that changes nothing leaves etag, time and history as they are", async () => {
    const { events, id, webhook } = await newWebhook({ eventTypes: ["user.created"] });
    await clock.advance(1_000);
    const same = { id, url: URL, eventTypes: ["user.created"], payload: WebhookPayload.FULL, maxConcurrency: 8 };
    expect((await events.updateWebhook({ webhook: same })).webhook).toEqual(webhook);
    expect(await auditOf(id)).toHaveLength(1);
  });

  test("by an etag is made once, however many have read the same", async () => {
    const { events, id, webhook } = await newWebhook();
    const calls = Array.from({ length: 10 }, (_, at) =>
      events.updateWebhook({ webhook: { id, description: `${at}` }, etag: webhook.etag }),
    );
    const reasons = await Promise.all(
      calls.map((call) =>
        call.then(
          () => "made",
          () => reasonOf(call),
        ),
      ),
    );
    expect(reasons.toSorted()).toEqual([...Array<string>(9).fill("ETAG_MISMATCH"), "made"]);
    expect(await reasonOf(events.updateWebhook({ webhook: { id, url: URL }, etag: "other" }))).toBe("ETAG_MISMATCH");
  });

  test("of what is no field, or of no webhook, is refused", async () => {
    const { events, id } = await newWebhook();
    for (const path of ["id", "etag", "create_time", "disabled_cause", "toString", ""]) {
      const call = events.updateWebhook({ webhook: { id }, updateMask: { paths: [path] } });
      expect((await refusalOf(call)).fields).toEqual(["update_mask"]);
    }
    expect((await refusalOf(events.updateWebhook({ webhook: { url: URL } }))).fields).toEqual(["webhook.id"]);
    expect((await refusalOf(events.createWebhook({ webhook: { id, url: URL } }))).fields).toEqual(["webhook.id"]);
  });

  test("disables it and enables it again, and says since when and why", async () => {
    const { events, id } = await newWebhook();
    const turn = async (disabled: boolean) =>
      (await events.updateWebhook({ webhook: { id, disabled }, updateMask: { paths: ["disabled"] } })).webhook;
    const off = await turn(true);
    expect(off).toMatchObject({ disabled: true, disabledCause: WebhookDisabledCause.REQUESTED });
    expect(off?.disabledTime).toEqual(off?.updateTime);
    await clock.advance(1_000);
    expect(await turn(true)).toEqual(off);
    await db.pool.query("update webhooks set disabled_cause = 'FAILING', failing_since = now() where id = $1", [id]);
    const on = await turn(false);
    expect(on).toMatchObject({ disabled: false, disabledCause: WebhookDisabledCause.UNSPECIFIED });
    expect([on?.disabledTime, on?.failingSince]).toEqual(Array(2));
  });

  test("to another URL forgets since when the one before has failed", async () => {
    const { events, id } = await newWebhook();
    await db.pool.query("update webhooks set failing_since = now() where id = $1", [id]);
    const { webhook: named } = await events.updateWebhook({ webhook: { id, description: "B" } });
    expect(named?.failingSince).toBeDefined();
    const { webhook: moved } = await events.updateWebhook({ webhook: { id, url: "https://new.example" } });
    expect(moved?.failingSince).toBeUndefined();
  });
});
