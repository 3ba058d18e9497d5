import { LockMode } from "@mikro-orm/core";
import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import type { WebhookWithSecret } from "./create-webhook.ts";
import { WebhookEntity } from "./webhook.entity.ts";
import type { WebhookPorts } from "./webhook-ports.ts";
import { newWebhookSecret, sealWebhookSecrets, webhookSecrets, webhookSecretText } from "./webhook-secrets.ts";

/** Gives a webhook another secret. For `overlapMs` the one before signs as well; 0: it signs no more. WEBHOOK_NOT_FOUND. */
export async function rotateWebhookSecret(
  { db, clock, sealer }: WebhookPorts,
  scope: WriteScope,
  id: string,
  overlapMs: number,
): Promise<WebhookWithSecret> {
  const { projectId, act } = scope;
  const secret = newWebhookSecret();
  const webhook = await transaction(db, scope, async (em) => {
    const row = await em.findOne(WebhookEntity, { projectId, id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!row) throw new MusterError("WEBHOOK_NOT_FOUND");
    const nowMs = clock.now();
    const now = new Date(nowMs);
    const [current] = webhookSecrets(sealer, row, nowMs);
    const kept = overlapMs > 0 ? [secret, current] : [secret];
    row.sealedSecrets = sealWebhookSecrets(sealer, projectId, id, kept);
    row.previousSecretUntil = overlapMs > 0 ? new Date(nowMs + overlapMs) : null;
    Object.assign(row, { updateTime: now, version: row.version + 1 });
    await em.flush();
    const details = { changed: ["secret"], revoke_previous: overlapMs === 0 };
    await appendAudit(em, act, { projectId, target: `webhook/${id}`, details, createTime: now });
    return row;
  });
  return { webhook, secret: webhookSecretText(secret) };
}
