import type { Clock } from "../../clock.ts";
import { type Answer, type Egress, EgressError, type EgressErrorKind } from "../../egress/egress.ts";
import type { Sealer } from "../../sealing.ts";
import { payloadOf, type SentEvent, signedHeaders } from "../signed-request.ts";
import type { WebhookPayload } from "../webhook.entity.ts";
import { type KeptSecrets, webhookSecrets } from "../webhook-secrets.ts";
import { readRetryAfter } from "./retry-schedule.ts";

/** Where to, and how. */
export interface Receiver extends KeptSecrets {
  readonly url: string;
  readonly payload: WebhookPayload;
}

/** What came of an attempt. */
export interface Attempt {
  readonly timeMs: number;
  readonly durationMs: number;
  /** The status of the answer; undefined: there was none. */
  readonly status?: number;
  readonly error?: EgressErrorKind;
  /** What the receiver asked for, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

export interface SendPorts {
  readonly egress: Egress;
  readonly sealer: Sealer;
  readonly clock: Clock;
}

/** Makes one attempt: a signed POST, whose answer is its status. Rejects with the reason of the signal if that aborts. */
export async function sendDelivery(
  { egress, sealer, clock }: SendPorts,
  receiver: Receiver,
  event: SentEvent,
  signal: AbortSignal,
): Promise<Attempt> {
  const timeMs = clock.now();
  const startedAt = clock.monotonic();
  const ended = () => ({ timeMs, durationMs: Math.round(clock.monotonic() - startedAt) });
  const body = payloadOf(event, receiver.payload);
  const secrets = webhookSecrets(sealer, receiver, timeMs);
  const headers = signedHeaders({ id: event.id, nowMs: timeMs, body, secrets });
  try {
    const answer = await egress.request(receiver.url, { method: "POST", headers, body, signal, ignoreBody: true });
    return { ...ended(), status: answer.status, retryAfterMs: retryAfterOf(answer, clock.now()) };
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    return { ...ended(), error: error.kind };
  }
}

const retryAfterOf = ({ headers }: Answer, nowMs: number): number | undefined =>
  readRetryAfter(headers["retry-after"], nowMs);
