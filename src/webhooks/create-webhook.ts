import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { checkUrl } from "../egress/check-url.ts";
import { MusterError } from "../errors.ts";
import { lockProject } from "../projects/projects.ts";
import { WebhookEntity } from "./webhook.entity.ts";
import type { WebhookPorts } from "./webhook-ports.ts";
import { newWebhookSecret, sealWebhookSecrets, webhookSecretText } from "./webhook-secrets.ts";

/** What of a webhook its project says. */
export type WebhookSettings = Pick<
  WebhookEntity,
  "url" | "description" | "eventTypes" | "payload" | "maxConcurrency" | "disabled"
>;

/** A webhook and the secret it was just given, as its receiver takes it. The text is in no other answer. */
export interface WebhookWithSecret {
  readonly webhook: WebhookEntity;
  readonly secret: string;
}

/** The most that a project has: every event is held against each of them. */
const MOST = 20;

/** Makes a webhook; what is committed from then on is sent to it. WEBHOOKS_FULL, PROJECT_NOT_FOUND; REQUEST_INVALID for a URL that is never called. */
export async function createWebhook(
  { db, clock, newId, sealer, egress }: WebhookPorts,
  scope: WriteScope,
  settings: WebhookSettings,
): Promise<WebhookWithSecret> {
  checkUrl("webhook.url", settings.url, egress);
  const { projectId } = scope;
  const id = newId();
  const secret = newWebhookSecret();
  const webhook = await transaction(db, scope, async (em) => {
    // One at a time, so that they are counted right.
    await lockProject(em, projectId);
    if ((await em.count(WebhookEntity, { projectId })) >= MOST) throw new MusterError("WEBHOOKS_FULL");
    const now = new Date(clock.now());
    const row = em.create(WebhookEntity, {
      ...{ projectId, id, ...settings },
      sealedSecrets: sealWebhookSecrets(sealer, projectId, id, [secret]),
      disabledCause: settings.disabled ? "REQUESTED" : null,
      disabledTime: settings.disabled ? now : null,
      createTime: now,
      updateTime: now,
    });
    await em.persist(row).flush();
    await appendAudit(em, scope.act, { projectId, target: `webhook/${id}`, createTime: now });
    return row;
  });
  return { webhook, secret: webhookSecretText(secret) };
}
