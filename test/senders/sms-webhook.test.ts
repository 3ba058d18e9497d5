import { createHmac, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import { createIds } from "../../src/ids.ts";
import { createLogger } from "../../src/logger.ts";
import { createSmsWebhook } from "../../src/senders/sms-webhook.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";

const receiver = await startWebhookReceiver();
const host = new URL(receiver.url).host;
const clock = createFakeClock(Date.parse("2026-01-01T00:00:00Z"));

test("a post is signed by Standard Webhooks: its id, its time and its body", async () => {
  const secret = randomBytes(32);
  const sms = createSmsWebhook({
    ...{ url: receiver.url, secret, egress: createEgress({ allow: [host] }), clock },
    ...{ newId: createIds(clock), logger: createLogger("silent") },
  });
  await sms.send({ projectId: "p", to: "+4930123456", text: "Your code is 12345678", code: "12345678" });
  const { headers, body, path } = receiver.received.at(-1) ?? { headers: {}, body: "", path: "" };
  const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  expect(headers["webhook-signature"]).toBe(`v1,${createHmac("sha256", secret).update(signed).digest("base64")}`);
  expect(headers["webhook-timestamp"]).toBe("1767225600");
  expect(path).toBe("/sms");
  expect(JSON.parse(body)).toEqual({
    type: "sms.requested",
    timestamp: "2026-01-01T00:00:00.000Z",
    data: { project_id: "p", to: "+4930123456", text: "Your code is 12345678", code: "12345678" },
  });
});
