import { createHmac, createSecretKey } from "node:crypto";
import type { WebhookPayload } from "./webhook.entity.ts";

/** What is sent of an event. */
export interface SentEvent {
  readonly projectId: string;
  readonly id: string;
  readonly type: string;
  readonly userId: string | null;
  readonly data: object;
  readonly origin: string | null;
  readonly createTime: Date;
}

/** What a request is signed over, and with. */
export interface ToSign {
  /** The id of the event: each attempt and each redelivery has the same. */
  readonly id: string;
  /** When the request leaves, in milliseconds since the epoch. */
  readonly nowMs: number;
  readonly body: string;
  readonly secrets: readonly Uint8Array[];
}

/**
 * The body of a delivery, as Standard Webhooks has it: `type`, `timestamp` and `data`, and beside them `id`, `project_id`, `user_id` and `origin`,
 * left out where there is none. The same event and kind give the same bytes.
 */
export function payloadOf(event: SentEvent, payload: WebhookPayload): string {
  return JSON.stringify({
    type: event.type,
    timestamp: event.createTime.toISOString(),
    data: payload === "THIN" ? idsOf(event.data) : event.data,
    id: event.id,
    project_id: event.projectId,
    user_id: event.userId ?? undefined,
    origin: event.origin ?? undefined,
  });
}

/** Headers that say which event it is, when it was sent, and that it comes from here: a signature by each of the secrets. */
export function signedHeaders({ id, nowMs, body, secrets }: ToSign): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const sign = (secret: Uint8Array) =>
    `v1,${createHmac("sha256", createSecretKey(secret)).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
  return {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": secrets.map(sign).join(" "),
  };
}

/** The ids of what an event is about, in the places where they stand in all of it. Nothing else of anybody's is in them. */
function idsOf(data: object): object {
  const kept = Object.entries(data).flatMap(([name, value]: [string, unknown]) => {
    if (typeof value === "string") return name.endsWith("_id") ? [[name, value]] : [];
    if (typeof value !== "object" || value === null) return [];
    const { id, external_id } = value as { id?: unknown; external_id?: unknown };
    return typeof id === "string" ? [[name, { id, external_id }]] : [];
  });
  return Object.fromEntries(kept);
}
