import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import { expect, test } from "vitest";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabase } from "../support/database.ts";
import { startTestServer } from "../support/start-test-server.ts";
import { answering, deliveriesOf, type Received, startReceiver } from "./delivery-fixture.ts";

const db = await testDatabase();
const receiver = await startReceiver();
const PATIENCE = { timeout: 10_000, interval: 20 };

/** A server by the real clock, and a webhook of a project of its own. */
async function withWebhook() {
  const server = await startTestServer({ address: db.address, config: { egressAllow: [receiver.host] } });
  const project = await server.project();
  const events = project.system(EventService);
  const { webhook, secret } = await events.createWebhook({
    webhook: { url: receiver.url, eventTypes: ["user.created"] },
  });
  receiver.received.length = 0;
  receiver.answer = answering(204);
  return { ...server, events, users: project.system(UserService), webhookId: webhook?.id ?? "", secret };
}

const verify = (secret: string, { body, headers }: Received) =>
  new Webhook(secret).verify(body, headers as unknown as Record<string, string>);

test("what is sent while a secret is rotated is verified by the old and the new one, and then by the new one alone", async () => {
  const { events, users, webhookId, secret: first } = await withWebhook();
  const { secret: second } = await events.rotateWebhookSecret({ webhookId });
  await users.upsertUser({ externalId: "alice" });
  await expect.poll(() => receiver.received.length, PATIENCE).toBe(1);
  const [during] = receiver.received as [Received];
  for (const secret of [first, second]) expect(verify(secret, during)).toMatchObject({ type: "user.created" });
  const { secret: third } = await events.rotateWebhookSecret({ webhookId, revokePrevious: true });
  await users.upsertUser({ externalId: "bob" });
  await expect.poll(() => receiver.received.length, PATIENCE).toBe(2);
  const [, after] = receiver.received as [Received, Received];
  expect(verify(third, after)).toMatchObject({ type: "user.created" });
  for (const secret of [first, second]) expect(() => verify(secret, after)).toThrow("No matching signature");
});

test("a receiver that asks for time by a date gets nothing until then", async () => {
  const { users, webhookId } = await withWebhook();
  const until = Math.ceil(Date.now() / 1_000) * 1_000 + 3_000;
  receiver.answer = answering(503, { "retry-after": new Date(until).toUTCString() });
  await users.upsertUser({ externalId: "alice" });
  await expect.poll(() => receiver.received.length, PATIENCE).toBe(1);
  receiver.answer = answering(204);
  await expect.poll(async () => (await deliveriesOf(db, webhookId))[0]?.state, PATIENCE).toBe("SUCCEEDED");
  expect(Date.now()).toBeGreaterThanOrEqual(until);
  expect(await deliveriesOf(db, webhookId)).toMatchObject([{ attempts: [{ status: 503 }, { status: 204 }] }]);
});

test("a server that is shut down waits for what it is sending, and notes how it ended", async () => {
  const { server, users, webhookId } = await withWebhook();
  receiver.answer = (_, response) => void setTimeout(() => response.writeHead(204).end(), 1_000);
  await users.upsertUser({ externalId: "alice" });
  await expect.poll(() => receiver.received.length, PATIENCE).toBe(1);
  await server[Symbol.asyncDispose]();
  const found = await deliveriesOf(db, webhookId);
  expect(found).toMatchObject([{ state: "SUCCEEDED", attemptCount: 1, isClaimed: false }]);
  await sleep(50);
  expect(receiver.received).toHaveLength(1);
});
