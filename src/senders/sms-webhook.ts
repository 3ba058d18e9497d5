import { createHmac } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Egress } from "../egress/egress.ts";
import { MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import type { SmsSender } from "./senders.ts";

export interface SmsWebhookOptions {
  readonly url: string;
  readonly secret: Uint8Array;
  readonly egress: Egress;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
}

const RETRY_AFTER_MS = 30_000;

/** Posts text messages to a URL, signed by Standard Webhooks; an answer of 2xx says that the message was taken. */
export function createSmsWebhook({ url, secret, egress, clock, newId, logger }: SmsWebhookOptions): SmsSender {
  return {
    async send({ projectId, to, text, code }) {
      const id = `msg_${newId()}`;
      const now = new Date(clock.now());
      const timestamp = String(Math.floor(now.getTime() / 1_000));
      const data = { project_id: projectId, to, text, code };
      const body = JSON.stringify({ type: "sms.requested", timestamp: now.toISOString(), data });
      const signature = createHmac("sha256", secret).update(`${id}.${timestamp}.${body}`).digest("base64");
      try {
        const headers = {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": timestamp,
          "webhook-signature": `v1,${signature}`,
        };
        const { status } = await egress.request(url, { method: "POST", headers, body });
        if (status < 200 || status > 299) throw new Error(`answered ${status}`);
      } catch (error) {
        logger.warn({ err: error, webhookId: id }, "a text message was not handed over");
        throw new MusterError("SMS_UNAVAILABLE", { retryAfterMs: RETRY_AFTER_MS, cause: error });
      }
    },
  };
}
