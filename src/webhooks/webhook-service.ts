import type { ServiceImpl } from "@connectrpc/connect";
import { versionOf } from "../etag.ts";
import type { EventService } from "../gen/muster/v1/event_service_pb.ts";
import { scopeOf } from "../rpc/caller.ts";
import { createWebhook } from "./create-webhook.ts";
import { deleteWebhook } from "./delete-webhook.ts";
import { listWebhooks } from "./read-webhooks.ts";
import { rotateWebhookSecret } from "./rotate-webhook-secret.ts";
import { updateWebhook } from "./update-webhook.ts";
import { newWebhookOf, overlapOf, webhookChangeOf, webhookMessage } from "./webhook-message.ts";
import type { WebhookPorts } from "./webhook-ports.ts";

/** The part of EventService that is about webhooks. */
type WebhookService = Pick<
  ServiceImpl<typeof EventService>,
  "createWebhook" | "listWebhooks" | "updateWebhook" | "rotateWebhookSecret" | "deleteWebhook"
>;

/** The RPCs about webhooks over their use cases. */
export function webhookService(ports: WebhookPorts): WebhookService {
  return {
    async createWebhook(request, context) {
      const { webhook, secret } = await createWebhook(ports, scopeOf(context), newWebhookOf(request.webhook));
      return { webhook: webhookMessage(webhook), secret };
    },
    async listWebhooks(_, context) {
      return { webhooks: (await listWebhooks(ports.db, scopeOf(context))).map(webhookMessage) };
    },
    async updateWebhook({ webhook, updateMask, etag }, context) {
      const change = webhookChangeOf(webhook, updateMask);
      const version = versionOf(etag);
      return {
        webhook: webhookMessage(await updateWebhook(ports, scopeOf(context), webhook?.id ?? "", change, version)),
      };
    },
    async rotateWebhookSecret(request, context) {
      const overlapMs = overlapOf(request);
      const { webhook, secret } = await rotateWebhookSecret(ports, scopeOf(context), request.webhookId, overlapMs);
      return { webhook: webhookMessage(webhook), secret };
    },
    async deleteWebhook({ webhookId }, context) {
      await deleteWebhook(ports, scopeOf(context), webhookId);
      return {};
    },
  };
}
