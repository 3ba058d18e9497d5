import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { reseal } from "../../src/db/reseal.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { SEALED_COLUMNS } from "../../src/sealed-columns.ts";
import { createSealer } from "../../src/sealing.ts";
import { getWebhook } from "../../src/webhooks/read-webhooks.ts";
import { signedHeaders } from "../../src/webhooks/signed-request.ts";
import { webhookSecrets } from "../../src/webhooks/webhook-secrets.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const { db, clock } = app;
const sealer = createSealer(app.config.encryptionKeys);
const BODY = '{"type":"user.created"}';

async function newWebhook() {
  const project = await app.project();
  const events = project.system(EventService);
  const { webhook, secret } = await events.createWebhook({ webhook: { url: "https://receiver.example" } });
  return { events, projectId: project.id, id: webhook?.id ?? "", secret };
}

/** Which of the secrets verify a request that leaves now. */
async function verifying(projectId: string, id: string, secrets: readonly string[], by = sealer): Promise<boolean[]> {
  const row = await getWebhook(db, { projectId }, id);
  const keys = webhookSecrets(by, row, clock.now());
  // The library holds the time of a request against the machine's clock.
  const headers = signedHeaders({ id: "e-1", nowMs: Date.now(), body: BODY, secrets: keys });
  return secrets.map((secret) => {
    try {
      return Boolean(new Webhook(secret).verify(BODY, headers));
    } catch {
      return false;
    }
  });
}

describe("a rotation of a secret", () => {
  test("has both sign until the overlap is over, a day if nothing is said, and then the new one alone", async () => {
    const { events, projectId, id, secret } = await newWebhook();
    expect(await verifying(projectId, id, [secret])).toEqual([true]);
    const { secret: next, webhook } = await events.rotateWebhookSecret({ webhookId: id });
    expect(next).not.toBe(secret);
    expect(webhook).toMatchObject({ id, etag: "v2" });
    const until = Number(webhook?.previousSecretExpireTime?.seconds) * 1_000;
    expect(Math.abs(until - clock.now() - 86_400_000)).toBeLessThan(1_000);
    await clock.advance(86_399_000);
    expect(await verifying(projectId, id, [secret, next])).toEqual([true, true]);
    await clock.advance(1_000);
    expect(await verifying(projectId, id, [secret, next])).toEqual([false, true]);
  });

  test("within an overlap has the last two sign and no third", async () => {
    const { events, projectId, id, secret } = await newWebhook();
    const previousTtl = { seconds: 60n };
    const { secret: second } = await events.rotateWebhookSecret({ webhookId: id, previousTtl });
    const { secret: third } = await events.rotateWebhookSecret({ webhookId: id, previousTtl });
    expect(await verifying(projectId, id, [secret, second, third])).toEqual([false, true, true]);
    await clock.advance(60_000);
    expect(await verifying(projectId, id, [secret, second, third])).toEqual([false, false, true]);
  });

  test("that revokes the one before has the new one alone sign at once", async () => {
    const { events, projectId, id, secret } = await newWebhook();
    await events.rotateWebhookSecret({ webhookId: id });
    const { secret: next, webhook } = await events.rotateWebhookSecret({ webhookId: id, revokePrevious: true });
    expect(webhook?.previousSecretExpireTime).toBeUndefined();
    expect(await verifying(projectId, id, [secret, next])).toEqual([false, true]);
  });

  test("is in history, without the secret", async () => {
    const { events, id, secret } = await newWebhook();
    const { secret: next } = await events.rotateWebhookSecret({ webhookId: id, revokePrevious: true });
    const { rows } = await db.pool.query("select * from audit_entries where target = $1", [`webhook/${id}`]);
    expect(rows.at(-1)).toMatchObject({
      method: "EventService/RotateWebhookSecret",
      actor_kind: "system",
      details: { changed: ["secret"], revoke_previous: true },
    });
    expect([secret, next].filter((it) => JSON.stringify(rows).includes(it.slice(6)))).toEqual([]);
  });

  test("of a webhook that is not there is refused", async () => {
    const { events } = await newWebhook();
    const webhookId = "00000000-0000-7000-8000-000000000000";
    expect(await reasonOf(events.rotateWebhookSecret({ webhookId }))).toBe("WEBHOOK_NOT_FOUND");
  });
});

test("what a webhook's secrets are sealed under is rotated with the encryption key, the one before included", async () => {
  const { events, projectId, id, secret } = await newWebhook();
  const { secret: next } = await events.rotateWebhookSecret({ webhookId: id });
  const fresh = randomBytes(32);
  const rotating = createSealer([fresh, ...app.config.encryptionKeys]);
  expect((await reseal(db, rotating, SEALED_COLUMNS)).unopened).toBe(0);
  expect(await verifying(projectId, id, [secret, next], createSealer([fresh]))).toEqual([true, true]);
});

test("secrets that are put beside another webhook do not open there", async () => {
  const [one, other] = [await newWebhook(), await newWebhook()];
  await db.pool.query(
    "update webhooks set sealed_secrets = (select sealed_secrets from webhooks where id = $1) where id = $2",
    [one.id, other.id],
  );
  await expect(verifying(other.projectId, other.id, [one.secret])).rejects.toThrow("belongs elsewhere");
});
