import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, test } from "vitest";
import { DeliveryFailure, DeliveryState } from "../../src/gen/muster/v1/delivery_pb.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { answering, startReceiver } from "./delivery-fixture.ts";

const receiver = await startReceiver();
const { db, clock, project } = await startApp({ config: { egressAllow: [receiver.host] } });
const PATIENCE = { timeout: 10_000, interval: 20 };

beforeEach(() => {
  receiver.answer = answering(204);
});

/** A project with a webhook of its own path. */
async function hooked(webhook: { eventTypes?: string[]; maxConcurrency?: number } = {}) {
  const it = await project();
  const events = it.system(EventService);
  const users = it.system(UserService);
  const path = `/${it.id}`;
  const { webhook: made } = await events.createWebhook({
    webhook: { url: `http://${receiver.host}${path}`, ...webhook },
  });
  const webhookId = made?.id ?? "";
  const list = async (state: DeliveryState = DeliveryState.UNSPECIFIED) =>
    (await events.listDeliveries({ webhookId, state })).deliveries;
  const idsAt = () => receiver.received.filter((got) => got.path === path).map(({ event }) => event.id);
  return {
    ...{ it, events, users, webhookId, list, idsAt },
    make: (externalId: string) => users.upsertUser({ externalId }),
    async settled(count: number) {
      await expect.poll(async () => (await list()).length, PATIENCE).toBe(count);
      await expect.poll(async () => (await list(DeliveryState.PENDING)).length, PATIENCE).toBe(0);
    },
    redeliver: (eventId: string) => events.redeliverEvent({ webhookId, which: { case: "eventId", value: eventId } }),
  };
}

/** A project in which three users were made and one deleted in a time, and others made before and after it. */
async function pastEvents() {
  const it = await project();
  const users = it.system(UserService);
  const early = await users.upsertUser({ externalId: "too-early" });
  await clock.advance(3_600_000);
  const fromTime = timestampFromMs(clock.now());
  const made = [];
  for (let n = 0; n < 3; n++) {
    made.push((await users.upsertUser({ externalId: `user-${n}` })).user?.id);
    await clock.advance(600_000);
  }
  await users.deleteUser({ ref: { ref: { case: "id", value: early.user?.id ?? "" } } });
  await clock.advance(3_600_000);
  const range = { fromTime, toTime: timestampFromMs(clock.now()) };
  await users.upsertUser({ externalId: "too-late" });
  return { it, range, made };
}

/** All that a range brings, page by page. */
async function redeliverAll(
  { events, webhookId }: Pick<Awaited<ReturnType<typeof hooked>>, "events" | "webhookId">,
  range: {
    fromTime: ReturnType<typeof timestampFromMs>;
    toTime?: ReturnType<typeof timestampFromMs>;
    types?: string[];
    onlyUndelivered?: boolean;
  },
) {
  let pageToken = "";
  let count = 0;
  let calls = 0;
  do {
    const answer = await events.redeliverEvent({ webhookId, which: { case: "range", value: range }, pageToken });
    count += answer.deliveryCount;
    pageToken = answer.nextPageToken;
    calls += 1;
  } while (pageToken !== "");
  return { count, calls };
}

describe("ListDeliveries", () => {
  test("tells each attempt with its time, its status or its error, and how long it took", async () => {
    const hook = await hooked();
    receiver.answer = answering(503);
    const { user } = await hook.make("alice");
    const attempts = async () => (await hook.list())[0]?.attempts.length;
    await expect.poll(attempts, PATIENCE).toBe(1);
    const [pending] = await hook.list(DeliveryState.PENDING);
    expect(pending).toMatchObject({
      webhookId: hook.webhookId,
      eventType: "user.created",
      userId: user?.id,
      state: DeliveryState.PENDING,
    });
    expect(pending?.attempts).toMatchObject([{ statusCode: 503, error: "" }]);
    expect(pending?.nextAttemptTime).toBeDefined();
    receiver.answer = (_, response) => void response.destroy();
    await clock.advance(5_000);
    await expect.poll(attempts, PATIENCE).toBe(2);
    receiver.answer = answering(200);
    await clock.advance(300_000);
    await hook.settled(1);
    const [delivery] = await hook.list(DeliveryState.SUCCEEDED);
    expect(delivery?.attempts).toMatchObject([
      { statusCode: 503 },
      { statusCode: 0, error: "UNREACHABLE" },
      { statusCode: 200 },
    ]);
    expect(timestampMs(delivery?.completeTime ?? timestampFromMs(0))).toBe(clock.now());
    expect(delivery?.nextAttemptTime).toBeUndefined();
  });

  test("lists page by page, the newest first, of one event, and of one state", async () => {
    const hook = await hooked();
    for (const name of ["a", "b", "c", "d", "e"]) await hook.make(name);
    await hook.settled(5);
    const { webhookId, events } = hook;
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await events.listDeliveries({ webhookId, pageSize: 2, pageToken });
      expect(page.deliveries.length).toBeLessThanOrEqual(2);
      seen.push(...page.deliveries.map(({ eventId }) => eventId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    const { rows } = await db.pool.query(
      "select event_id from deliveries where webhook_id = $1 order by position desc",
      [webhookId],
    );
    expect(seen).toEqual(rows.map(({ event_id: id }) => id));
    const [eventId = ""] = seen;
    const one = await events.listDeliveries({ webhookId, eventId });
    expect(one.deliveries.map((delivery) => delivery.eventId)).toEqual([eventId]);
    expect(await hook.list(DeliveryState.FAILED)).toEqual([]);
    const { nextPageToken } = await events.listDeliveries({ webhookId, pageSize: 2 });
    const foreign = events.listDeliveries({ webhookId, eventId, pageSize: 2, pageToken: nextPageToken });
    expect(await refusalOf(foreign)).toMatchObject({ reason: "REQUEST_INVALID" });
  });

  test("of a webhook that is not there is refused", async () => {
    const hook = await hooked();
    const asked = hook.events.listDeliveries({ webhookId: crypto.randomUUID() });
    expect(await refusalOf(asked)).toMatchObject({ reason: "WEBHOOK_NOT_FOUND" });
  });
});

describe("RedeliverEvent", () => {
  test("delivers one event again by the same id, and leaves alone what is on its way", async () => {
    const hook = await hooked();
    await hook.make("alice");
    await hook.settled(1);
    const [first] = await hook.list();
    const eventId = first?.eventId ?? "";
    let release = () => {};
    receiver.answer = (_, response) => {
      release = () => response.end();
    };
    expect(await hook.redeliver(eventId)).toMatchObject({ deliveryCount: 1, nextPageToken: "" });
    await expect.poll(() => hook.idsAt().length, PATIENCE).toBe(2);
    expect(await hook.redeliver(eventId)).toMatchObject({ deliveryCount: 0 });
    release();
    await hook.settled(1);
    expect(hook.idsAt()).toEqual([eventId, eventId]);
    const entries = await db.pool.query(
      "select method, target, details from audit_entries where project_id = $1 and method like 'EventService/Redeliver%'",
      [hook.it.id],
    );
    expect(entries.rows).toEqual([
      { method: "EventService/RedeliverEvent", target: `webhook/${hook.webhookId}`, details: { redelivered: 1 } },
    ]);
  });

  test("delivers what was given up, with a new count of attempts", async () => {
    const hook = await hooked();
    receiver.answer = answering(410);
    await hook.make("alice");
    await hook.settled(1);
    const [failed] = await hook.list(DeliveryState.FAILED);
    expect(failed?.failure).toBe(DeliveryFailure.GONE);
    const again = () => hook.redeliver(failed?.eventId ?? "");
    expect(await refusalOf(again())).toMatchObject({ reason: "WEBHOOK_DISABLED" });
    receiver.answer = answering(204);
    await hook.events.updateWebhook({
      webhook: { id: hook.webhookId, disabled: false },
      updateMask: { paths: ["disabled"] },
    });
    await again();
    await hook.settled(1);
    expect(await hook.list(DeliveryState.SUCCEEDED)).toMatchObject([
      { failure: DeliveryFailure.UNSPECIFIED, attempts: [{ statusCode: 410 }, { statusCode: 204 }] },
    ]);
  });

  test("delivers a time, of before the webhook too: what it takes, or the types that are asked for", async () => {
    const { it, range, made } = await pastEvents();
    const events = it.system(EventService);
    const path = `/${it.id}`;
    const url = `http://${receiver.host}${path}`;
    const { webhook } = await events.createWebhook({ webhook: { url, eventTypes: ["user.created"] } });
    const hook = { events, webhookId: webhook?.id ?? "" };
    expect(await redeliverAll(hook, range)).toEqual({ count: 3, calls: 1 });
    const got = () => receiver.received.filter((request) => request.path === path).map(({ event }) => event);
    await expect.poll(() => new Set(got().map(({ user_id: id }) => id)), PATIENCE).toEqual(new Set(made));
    const asked = { webhookId: hook.webhookId, state: DeliveryState.SUCCEEDED };
    await expect.poll(async () => (await events.listDeliveries(asked)).deliveries.length, PATIENCE).toBe(3);
    const undelivered = { ...range, onlyUndelivered: true };
    expect(await redeliverAll(hook, undelivered)).toEqual({ count: 0, calls: 1 });
    expect(await redeliverAll(hook, { ...undelivered, types: ["user.deleted"] })).toEqual({ count: 1, calls: 1 });
    await expect.poll(() => got().at(-1)?.type, PATIENCE).toBe("user.deleted");
    expect(got()).toHaveLength(4);
  });

  test("of a long time comes page by page, each event once, and each user's in order", async () => {
    const hook = await hooked({ eventTypes: ["user.updated"], maxConcurrency: 32 });
    const user = crypto.randomUUID();
    await clock.advance(86_400_000);
    const fromTime = timestampFromMs(clock.now() - 60_000);
    await db.pool.query(
      `insert into events (project_id, id, type, user_id, data, create_time)
       select $1, gen_random_uuid(), 'test.happened', case when n % 100 = 0 then $2::uuid end, jsonb_build_object('number', n), $3
       from generate_series(1, 2500) n`,
      [hook.it.id, user, new Date(clock.now())],
    );
    await expect
      .poll(async () => redeliverAll(hook, { fromTime, types: ["test.*"] }), { ...PATIENCE, interval: 1 })
      .toEqual({ count: 2_500, calls: 3 });
    await expect.poll(() => new Set(hook.idsAt()).size, { timeout: 60_000 }).toBe(2_500);
    const ofUser = receiver.received
      .filter(({ event }) => event.user_id === user)
      .map(({ event }) => event.data["number"]);
    expect(ofUser).toEqual(Array.from({ length: 25 }, (_, n) => (n + 1) * 100));
  }, 90_000);

  test("of an event or a webhook that is not there, and of a time that ends before it begins, is refused", async () => {
    const hook = await hooked();
    expect(await refusalOf(hook.redeliver(crypto.randomUUID()))).toMatchObject({
      reason: "EVENT_NOT_FOUND",
    });
    const elsewhere = { ...hook, webhookId: crypto.randomUUID() };
    const value = { fromTime: timestampFromMs(clock.now()) };
    expect(await refusalOf(redeliverAll(elsewhere, value))).toMatchObject({ reason: "WEBHOOK_NOT_FOUND" });
    const backwards = { ...value, toTime: timestampFromMs(clock.now() - 1) };
    expect(await refusalOf(redeliverAll(hook, backwards))).toMatchObject({ reason: "REQUEST_INVALID" });
  });
});
