/** What other features may use of webhooks. */
export { getWebhook, listWebhooks } from "./read-webhooks.ts";
export { payloadOf, type SentEvent, signedHeaders } from "./signed-request.ts";
export type { DisabledCause, WebhookEntity, WebhookPayload } from "./webhook.entity.ts";
export { webhookSecrets } from "./webhook-secrets.ts";
