import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { webhookSecretText } from "../../src/webhooks/webhook-secrets.ts";
import { startApp } from "../support/start-app.ts";
import { answering, deliveriesOf, makeWebhook, type Receiver, startReceiver, webhookRow } from "./delivery-fixture.ts";

const receiver = await startReceiver();
const shop = await startReceiver();
const { db, config, clock, project } = await startApp({ config: { egressAllow: [receiver.host, shop.host] } });
const PATIENCE = { timeout: 8_000, interval: 20 };
const HOUR_MS = 3_600_000;

/** A project with a webhook to the receiver, at a path of its own. */
async function hooked(options: Parameters<typeof makeWebhook>[4] = {}, to: Receiver = receiver) {
  const it = await project();
  const path = `/${crypto.randomUUID()}`;
  const webhook = await makeWebhook(db, config.encryptionKeys, it.id, `http://${to.host}${path}`, options);
  const received = () => to.received.filter((request) => request.path === path);
  const users = it.system(UserService);
  return {
    ...it,
    webhook,
    users,
    received,
    make: async (externalId: string) => (await users.upsertUser({ externalId })).user?.id ?? "",
    deliveries: () => deliveriesOf(db, webhook.id),
    async arrives(count: number) {
      await expect.poll(() => received().length, PATIENCE).toBeGreaterThanOrEqual(count);
    },
    async stands(...states: string[]) {
      await expect
        .poll(async () => (await deliveriesOf(db, webhook.id)).map(({ state }) => state), PATIENCE)
        .toEqual(states);
    },
    async attempts(count: number) {
      const done = async () =>
        (await deliveriesOf(db, webhook.id)).filter(({ isClaimed }) => !isClaimed)[0]?.attemptCount;
      await expect.poll(done, PATIENCE).toBe(count);
    },
  };
}

describe("an event", () => {
  test("is delivered once, signed, and its delivery says when and how it went", async () => {
    const it = await hooked();
    const id = await it.make("alice");
    await it.stands("SUCCEEDED");
    const [request] = it.received();
    const verified = new Webhook(webhookSecretText(it.webhook.secret));
    const headers = { ...request?.headers, "webhook-timestamp": String(Math.floor(Date.now() / 1_000)) };
    expect(() => verified.verify(request?.body ?? "", headers as unknown as Record<string, string>)).toThrow(
      "No matching",
    );
    const events = await db.pool.query("select id, type from events where project_id = $1 and user_id is not null", [
      it.id,
    ]);
    expect(request?.event).toMatchObject({ id: events.rows[0].id, type: "user.created", user_id: id });
    expect(request?.headers["webhook-id"]).toBe(events.rows[0].id);
    const [delivery] = await it.deliveries();
    const attempt = { time: new Date(clock.now()).toISOString(), status: 204, duration_ms: 0 };
    expect(delivery).toMatchObject({ attemptCount: 1, attempts: [attempt], isClaimed: false });
    await it.users.upsertUser({ externalId: "alice" });
    await clock.advance(60_000);
    expect(it.received()).toHaveLength(1);
  });

  test("goes to each webhook that takes its type, and to no other", async () => {
    const it = await hooked();
    const url = (name: string) => `http://${receiver.host}/${it.id}/${name}`;
    const make = (name: string, eventTypes: string[]) =>
      makeWebhook(db, config.encryptionKeys, it.id, url(name), { eventTypes });
    await make("prefix", ["user.*"]);
    await make("exact", ["user.deleted", "session.*"]);
    await make("like", ["user%", "user", "user_*", "user.cre*"]);
    await it.make("bob");
    await it.users.deleteUser({ ref: { ref: { case: "externalId", value: "bob" } } });
    const typesAt = (name: string) =>
      receiver.received.filter(({ path }) => path === `/${it.id}/${name}`).map(({ event }) => event.type);
    await expect.poll(() => typesAt("exact"), PATIENCE).toEqual(["user.deleted"]);
    await expect.poll(() => typesAt("prefix"), PATIENCE).toEqual(["user.created", "user.deleted"]);
    await it.stands("SUCCEEDED", "SUCCEEDED");
    expect(typesAt("like")).toEqual([]);
  });

  test("of before the webhook is not delivered to it, and one of another project never", async () => {
    const it = await hooked();
    await it.make("before");
    const path = `/${crypto.randomUUID()}`;
    const later = await makeWebhook(db, config.encryptionKeys, it.id, `http://${receiver.host}${path}`);
    const other = await hooked();
    await other.make("elsewhere");
    const after = await it.make("after");
    await expect.poll(() => receiver.received.filter((got) => got.path === path).length, PATIENCE).toBe(1);
    expect(receiver.received.find((got) => got.path === path)?.event.user_id).toBe(after);
    expect(await deliveriesOf(db, later.id)).toHaveLength(1);
  });
});

describe("a receiver that", () => {
  test("fails and then takes it gets the same event again, signed for the time it is sent at", async () => {
    const it = await hooked();
    receiver.answer = answering(500);
    await it.make("alice");
    await it.attempts(1);
    expect(await it.deliveries()).toMatchObject([{ state: "PENDING", attempts: [{ status: 500 }] }]);
    const wait = ((await it.deliveries())[0]?.nextAttemptTime.getTime() ?? 0) - clock.now();
    expect(wait).toBeGreaterThan(0);
    expect(wait).toBeLessThanOrEqual(5_000);
    receiver.answer = answering(200);
    await clock.advance(5_000);
    await it.stands("SUCCEEDED");
    const [first, second] = it.received();
    expect(second?.body).toBe(first?.body);
    expect(second?.headers["webhook-id"]).toBe(first?.headers["webhook-id"]);
    expect(second?.headers["webhook-timestamp"]).not.toBe(first?.headers["webhook-timestamp"]);
    expect((await it.deliveries())[0]?.attempts).toMatchObject([{ status: 500 }, { status: 200 }]);
    expect((await webhookRow(db, it.webhook.id))["failing_since"]).toBeNull();
  });

  test("redirects is not followed", async () => {
    const it = await hooked();
    receiver.answer = answering(302, { location: `http://${receiver.host}/elsewhere` });
    await it.make("alice");
    await it.attempts(1);
    expect(await it.deliveries()).toMatchObject([{ state: "PENDING", attempts: [{ status: 302 }] }]);
    expect(receiver.received.some(({ path }) => path === "/elsewhere")).toBe(false);
  });

  test("answers more than anybody reads, in whatever coding, has taken it", async () => {
    const it = await hooked();
    receiver.answer = (_, response) => {
      response.writeHead(200, { "content-encoding": "br" });
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        response.once("drain", more);
      };
      more();
    };
    await it.make("alice");
    await it.stands("SUCCEEDED");
    expect(await it.deliveries()).toMatchObject([{ attempts: [{ status: 200 }] }]);
  });

  test("closes half way has not", async () => {
    const it = await hooked();
    receiver.answer = (_, response) => {
      response.writeHead(200, { "content-length": "1000" }).write("half");
      setTimeout(() => response.socket?.destroy(), 20);
    };
    await it.make("alice");
    await it.attempts(1);
    expect(await it.deliveries()).toMatchObject([{ state: "PENDING", attempts: [{ error: "UNREACHABLE" }] }]);
  });

  test("stalls is given up after ten seconds", async () => {
    const it = await hooked();
    receiver.answer = () => {};
    await it.make("alice");
    await it.arrives(1);
    await clock.advance(9_999);
    expect(await it.deliveries()).toMatchObject([{ isClaimed: true }]);
    await clock.advance(1);
    await it.attempts(1);
    expect(await it.deliveries()).toMatchObject([
      { state: "PENDING", attempts: [{ error: "TIMEOUT", duration_ms: 10_000 }] },
    ]);
    receiver.answer = answering(204);
    await clock.advance(5_000);
    await it.stands("SUCCEEDED");
  });

  test("is gone for a while gets all of it, in order, once it is back", async () => {
    const it = await hooked({}, shop);
    await shop.stop();
    const names = ["a", "b", "c"];
    const ids = [];
    for (const name of names) ids.push(await it.make(name));
    await it.attempts(1);
    await shop.start();
    await clock.advance(5_000);
    await it.stands("SUCCEEDED", "SUCCEEDED", "SUCCEEDED");
    expect(new Set(it.received().map(({ event }) => event.user_id))).toEqual(new Set(ids));
  });

  test("asks for time by 429 gets nothing until then", async () => {
    const it = await hooked();
    receiver.answer = answering(429, { "retry-after": "600" });
    await it.make("alice");
    await it.attempts(1);
    receiver.answer = answering(204);
    await it.make("bob");
    await it.stands("PENDING", "PENDING");
    await clock.advance(599_000);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(it.received()).toHaveLength(1);
    await clock.advance(1_000);
    await it.stands("SUCCEEDED", "SUCCEEDED");
  });

  test("is gone for good, by 410, disables its webhook, and what is pending is given up", async () => {
    const it = await hooked({ maxConcurrency: 1 });
    const watcher = await makeWebhook(db, config.encryptionKeys, it.id, `http://${receiver.host}/${it.id}`, {
      eventTypes: ["webhook.disabled"],
    });
    receiver.answer = (_, response) => void setTimeout(() => response.writeHead(410).end(), 100);
    await it.make("alice");
    await it.make("bob");
    await it.stands("FAILED", "FAILED");
    expect((await it.deliveries()).map(({ failure }) => failure)).toEqual(["GONE", "DISABLED"]);
    const row = await webhookRow(db, it.webhook.id);
    expect(row).toMatchObject({ disabled: true, disabled_cause: "GONE", version: 2 });
    const entries = await db.pool.query("select * from audit_entries where project_id = $1 and actor_kind = 'server'", [
      it.id,
    ]);
    expect(entries.rows).toMatchObject([
      { method: "job/deliver", actor_kind: "server", target: `webhook/${it.webhook.id}`, details: { cause: "GONE" } },
    ]);
    receiver.answer = answering(204);
    await expect
      .poll(async () => (await deliveriesOf(db, watcher.id))[0]?.eventType, PATIENCE)
      .toBe("webhook.disabled");
    const told = () => receiver.received.find(({ path }) => path === `/${it.id}`)?.event.data;
    await expect.poll(told, PATIENCE).toEqual({ webhook_id: it.webhook.id, cause: "WEBHOOK_DISABLED_CAUSE_GONE" });
    await it.make("carol");
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    expect(await it.deliveries()).toHaveLength(2);
  });
});

describe("a delivery that fails for three days", () => {
  /** Goes from attempt to attempt until there is none. */
  async function runOut(it: Awaited<ReturnType<typeof hooked>>) {
    for (let count = 1; ; count++) {
      await expect.poll(async () => (await it.deliveries())[0]?.attemptCount, PATIENCE).toBe(count);
      const [delivery] = await it.deliveries();
      if (delivery?.state !== "PENDING") return delivery;
      await clock.advance(delivery.nextAttemptTime.getTime() - clock.now());
      // A hint, so that nobody waits for the next look.
      await db.pool.query("select pg_notify('muster_events', $1)", [it.id]);
    }
  }

  test("is given up, and disables a webhook to which nothing else succeeded in that time", async () => {
    const it = await hooked();
    receiver.answer = answering(503);
    const startMs = clock.now();
    await it.make("alice");
    const delivery = await runOut(it);
    expect(delivery).toMatchObject({ state: "FAILED", failure: "EXHAUSTED" });
    expect(clock.now() - startMs).toBe(72 * HOUR_MS);
    expect(delivery?.attempts.length).toBeGreaterThan(7);
    expect(await webhookRow(db, it.webhook.id)).toMatchObject({ disabled: true, disabled_cause: "FAILING" });
    const { rows } = await db.pool.query(
      "select data from events where project_id = $1 and type = 'webhook.disabled'",
      [it.id],
    );
    expect(rows).toEqual([{ data: { webhook_id: it.webhook.id, cause: "WEBHOOK_DISABLED_CAUSE_FAILING" } }]);
  });

  test("is given up alone where others did", async () => {
    const it = await hooked();
    receiver.answer = ({ event }, response) => {
      const { external_id: name } = event.data["user"] as { external_id: string };
      response.writeHead(name === "poison" ? 500 : 200).end();
    };
    await it.make("poison");
    await it.attempts(1);
    await it.make("fine");
    await it.stands("PENDING", "SUCCEEDED");
    expect(await runOut(it)).toMatchObject({ state: "FAILED", failure: "EXHAUSTED" });
    expect(await webhookRow(db, it.webhook.id)).toMatchObject({ disabled: false });
  });
});
