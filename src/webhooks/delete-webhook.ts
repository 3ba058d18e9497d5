import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { WebhookEntity } from "./webhook.entity.ts";
import type { WebhookPorts } from "./webhook-ports.ts";

/** Deletes a webhook and what was to be sent to it. One that is not there is deleted already. */
export async function deleteWebhook({ db, clock }: WebhookPorts, scope: WriteScope, id: string): Promise<void> {
  const { projectId, act } = scope;
  await transaction(db, scope, async (em) => {
    if ((await em.nativeDelete(WebhookEntity, { projectId, id })) === 0) return;
    await appendAudit(em, act, { projectId, target: `webhook/${id}`, createTime: new Date(clock.now()) });
  });
}
