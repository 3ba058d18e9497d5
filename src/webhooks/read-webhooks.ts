import type { Database } from "../db/orm.ts";
import { read, type Scope } from "../db/transaction.ts";
import { MusterError } from "../errors.ts";
import { WebhookEntity } from "./webhook.entity.ts";

/** Whose webhooks, and until when they are wanted. */
export type WebhookScope = Scope & { readonly projectId: string };

/** A webhook, also one that is disabled. WEBHOOK_NOT_FOUND. */
export async function getWebhook(db: Database, scope: WebhookScope, id: string): Promise<WebhookEntity> {
  const { projectId } = scope;
  const row = await read(db, scope, (em) => em.findOne(WebhookEntity, { projectId, id }));
  if (!row) throw new MusterError("WEBHOOK_NOT_FOUND");
  return row;
}

/** All webhooks of a project, oldest first. */
export const listWebhooks = (db: Database, scope: WebhookScope): Promise<WebhookEntity[]> =>
  read(db, scope, (em) => em.find(WebhookEntity, { projectId: scope.projectId }, { orderBy: { id: "asc" } }));
