import { LockMode, raw } from "@mikro-orm/core";
import { appendAudit } from "../audit/append-audit.ts";
import type { WriteScope } from "../db/recorded.ts";
import { transaction } from "../db/transaction.ts";
import { checkUrl } from "../egress/check-url.ts";
import { MusterError } from "../errors.ts";
import type { WebhookSettings } from "./create-webhook.ts";
import { WebhookEntity } from "./webhook.entity.ts";
import type { WebhookPorts } from "./webhook-ports.ts";

/** What to change; what is left out stays. */
export type WebhookChange = Partial<WebhookSettings>;

/**
 * Changes a webhook, if `version` is the one it has or is left out. One that is enabled again gets what is committed from then on. WEBHOOK_NOT_FOUND,
 * ETAG_MISMATCH; REQUEST_INVALID for a URL that is never called.
 */
export async function updateWebhook(
  { db, clock, egress }: WebhookPorts,
  scope: WriteScope,
  id: string,
  change: WebhookChange,
  version: number | undefined,
): Promise<WebhookEntity> {
  if (change.url !== undefined) checkUrl("webhook.url", change.url, egress);
  const { projectId, act } = scope;
  return transaction(db, scope, async (em) => {
    const row = await em.findOne(WebhookEntity, { projectId, id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!row) throw new MusterError("WEBHOOK_NOT_FOUND");
    if (version !== undefined && version !== row.version) throw new MusterError("ETAG_MISMATCH");
    const changed = changesOf(row, change);
    if (changed.length === 0) return row;
    const now = new Date(clock.now());
    apply(row, change, now);
    await em.flush();
    const details = { changed: changed.map((name) => name.replace(/[A-Z]/g, (it) => `_${it.toLowerCase()}`)) };
    await appendAudit(em, act, { projectId, target: `webhook/${id}`, details, createTime: now });
    return row;
  });
}

/** The names of what becomes another. */
const changesOf = (row: WebhookEntity, change: WebhookChange): (keyof WebhookChange)[] =>
  (Object.keys(change) as (keyof WebhookChange)[]).filter(
    (name) => change[name] !== undefined && JSON.stringify(change[name]) !== JSON.stringify(row[name]),
  );

function apply(row: WebhookEntity, change: WebhookChange, now: Date): void {
  const { disabled: wasDisabled, url } = row;
  Object.assign(row, change, { updateTime: now, version: row.version + 1 });
  // What was wrong with the one before says nothing of another receiver.
  if (row.url !== url) Object.assign(row, { failingSince: null, resumeTime: null });
  if (row.disabled === wasDisabled) return;
  row.disabledCause = row.disabled ? "REQUESTED" : null;
  row.disabledTime = row.disabled ? now : null;
  if (row.disabled) return;
  Object.assign(row, { failingSince: null, resumeTime: null });
  row.since = raw("pg_current_snapshot()");
  row.cursorTransactionId = raw("pg_snapshot_xmin(pg_current_snapshot())");
  row.cursorSequence = 0;
}
