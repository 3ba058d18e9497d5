import { randomBytes, randomUUID } from "node:crypto";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { payloadOf, signedHeaders } from "../../src/webhooks/signed-request.ts";
import { newWebhookSecret, webhookSecretText } from "../../src/webhooks/webhook-secrets.ts";

const user = { id: "u-1", external_id: "alice", name: "Alice", metadata: { passport_id: "secret" } };
const event = {
  projectId: "p-1",
  id: randomUUID(),
  type: "user.created",
  userId: "u-1",
  data: { user },
  origin: "crm",
  createTime: new Date("2026-01-02T03:04:05.678Z"),
};

describe("a request", () => {
  const [current, previous, other] = [newWebhookSecret(), newWebhookSecret(), newWebhookSecret()];
  const body = payloadOf({ ...event, data: { user: { ...user, name: 'Zoë "√" \u2028' } } }, "FULL");
  const nowMs = Date.now() + 400;
  const signed = signedHeaders({ id: event.id, nowMs, body, secrets: [current, previous] });
  const verify = (secret: Uint8Array, text = body, headers = signed) =>
    new Webhook(webhookSecretText(secret)).verify(text, headers);

  test("is verified by the library of Standard Webhooks, with each of the secrets it is signed with and no other", () => {
    expect(verify(current)).toEqual(JSON.parse(body));
    expect(verify(previous)).toEqual(JSON.parse(body));
    expect(() => verify(other)).toThrow(WebhookVerificationError);
  });

  test("is not verified once its body, its id or its time is another", () => {
    expect(() => verify(current, body.replace("alice", "mallory"))).toThrow(WebhookVerificationError);
    for (const [name, value] of [
      ["webhook-id", randomUUID()],
      ["webhook-timestamp", String(Math.floor(nowMs / 1_000) + 1)],
    ] as const)
      expect(() => verify(current, body, { ...signed, [name]: value })).toThrow(WebhookVerificationError);
  });

  test("has one signature per secret, each as the library makes it", () => {
    const at = new Date(nowMs);
    const made = [current, previous].map((secret) => new Webhook(webhookSecretText(secret)).sign(event.id, at, body));
    expect(signed["webhook-signature"]).toBe(made.join(" "));
    expect(signed).toMatchObject({
      "content-type": "application/json",
      "webhook-id": event.id,
      "webhook-timestamp": String(Math.floor(nowMs / 1_000)),
    });
  });

  test("is signed by secrets of any length that Standard Webhooks allows", () => {
    for (const length of [24, 33, 64]) {
      const secret = randomBytes(length);
      const headers = signedHeaders({ id: event.id, nowMs, body, secrets: [secret] });
      expect(verify(secret, body, headers)).toEqual(JSON.parse(body));
    }
  });
});

describe("a payload", () => {
  const around = {
    type: "user.created",
    timestamp: "2026-01-02T03:04:05.678Z",
    id: event.id,
    project_id: "p-1",
    user_id: "u-1",
    origin: "crm",
  };

  test("that is full has all of the event", () => {
    expect(JSON.parse(payloadOf(event, "FULL"))).toEqual({ ...around, data: { user } });
    expect(payloadOf(event, "FULL")).toBe(payloadOf({ ...event }, "FULL"));
  });

  test("that is thin has of its data the ids alone, where they stand in all of it", () => {
    expect(JSON.parse(payloadOf(event, "THIN"))).toEqual({
      ...around,
      data: { user: { id: "u-1", external_id: "alice" } },
    });
    const data = {
      user_id: "u-1",
      external_id: "alice",
      subject: "secret",
      tokens_behind: 1,
      suspension: { id: "s-1", reason: "secret" },
      others: ["secret"],
      none: null,
    };
    expect(JSON.parse(payloadOf({ ...event, data }, "THIN"))).toEqual({
      ...around,
      data: { user_id: "u-1", external_id: "alice", suspension: { id: "s-1" } },
    });
  });

  test("leaves out the user and the origin where there is none", () => {
    const { user_id: _, origin: __, ...rest } = around;
    const bare = { ...event, userId: null, origin: null, data: {} };
    expect(JSON.parse(payloadOf(bare, "FULL"))).toEqual({ ...rest, data: {} });
  });
});
