import type { Clock } from "../../clock.ts";
import type { Act } from "../../db/act.ts";
import type { Database } from "../../db/orm.ts";
import { inSteps, type Step } from "../../db/steps.ts";
import type { NewId } from "../../ids.ts";
import type { SentEvent } from "../signed-request.ts";
import { type DeliveryState, LEASE_MS } from "./delivery.ts";
import { DISABLE } from "./disable-webhook.ts";
import { type Claimed, type Outcome, outcomeRecord } from "./outcome.ts";
import type { Receiver } from "./send-delivery.ts";
import { CLAIM, FAN_OUT, GIVE_UP, KEEP, LOCK, NOTE, PAGE, READY, TRY_LOCK } from "./turn-statements.ts";
import { concurrencyOf, type Judgement, judge, type WebhookHealth } from "./webhook-health.ts";

export interface TurnPorts {
  readonly db: Pick<Database, "pool">;
  readonly clock: Clock;
  readonly newId: NewId;
  /** By which webhooks are disabled. */
  readonly act: Act;
}

/** What a turn is taken for. */
export interface TurnInput {
  readonly projectId: string;
  readonly webhookId: string;
  /** What came of deliveries that were claimed before. */
  readonly outcomes: readonly Outcome[];
  /** Whether there may be events to make deliveries of. */
  readonly hasEvents: boolean;
  /** How many more deliveries this process takes. */
  readonly places: number;
}

/** A delivery to be sent; no event: it is not kept any more. */
export interface ToSend extends Claimed {
  readonly event: SentEvent | undefined;
}

export interface Turn {
  /** To whom, with what is sealed of it. */
  readonly receiver: Receiver;
  readonly claimed: readonly ToSend[];
  /** Whether there may be more to do at once. */
  readonly more: boolean;
  /** Whether more would have been claimed but for the places. */
  readonly isFull: boolean;
  /** Outcomes that were noted, by state; those of claims that are no longer this process's are not among them. */
  readonly noted: ReadonlyMap<DeliveryState, number>;
  readonly disabled: Judgement["disable"];
}

interface LockedWebhook extends Receiver, WebhookHealth, Record<string, unknown> {
  readonly webhookId: string;
  readonly maxConcurrency: number;
  readonly disabled: boolean;
  readonly transactionId: string;
  readonly sequence: number;
}

/**
 * A webhook's turn, one transaction under the lock of its row: notes what came of deliveries, makes those of new events, and claims what is due.
 * Without outcomes it does not wait for the lock. Undefined: there is no such webhook, or another process has its turn.
 */
export async function takeTurn(ports: TurnPorts, input: TurnInput): Promise<Turn | undefined> {
  const { projectId, webhookId, outcomes } = input;
  const turn = await inSteps(ports.db.pool, async (step) => {
    const statement = outcomes.length > 0 ? LOCK : TRY_LOCK;
    const [webhook] = await step<LockedWebhook>(statement, [projectId, webhookId]);
    return webhook && underLock(ports, input, step, webhook);
  });
  if (turn?.disabled) ports.act.committed(projectId);
  return turn;
}

async function underLock(
  ports: TurnPorts,
  { projectId, webhookId, outcomes, hasEvents, places }: TurnInput,
  step: Step,
  webhook: LockedWebhook,
): Promise<Turn> {
  const nowMs = ports.clock.now();
  const now = new Date(nowMs);
  const key = [projectId, webhookId];
  const receiver = { ...webhook, projectId, id: webhookId };
  const noted = await note(step, key, outcomes, now);
  const judgement = judge(webhook, outcomes, nowMs);
  const disabled = webhook.disabled ? undefined : judgement.disable;
  if (disabled) await step(DISABLE, [...key, disabled, now, ports.newId(), ports.act.facts]);
  const ended = { receiver, claimed: [], isFull: false, noted, disabled };
  if (webhook.disabled || disabled) {
    await keep(step, key, webhook, webhook, judgement);
    const [givenUp] = await step<{ count: number }>(GIVE_UP, [...key, now]);
    return { ...ended, more: givenUp?.count === PAGE };
  }
  const read = hasEvents ? await fanOut(step, key, webhook, now) : { ...webhook, read: 0 };
  await keep(step, key, webhook, read, judgement);
  const most = concurrencyOf({ ...webhook, ...judgement }, nowMs);
  const isResting = judgement.resumeTime !== null;
  const claimed = places > 0 && !isResting ? await claim(ports, step, key, { nowMs, places, most }) : [];
  const isFull = !isResting && claimed.length === places && places < most;
  return { ...ended, claimed, more: read.read === PAGE, isFull };
}

async function note(step: Step, key: string[], outcomes: readonly Outcome[], now: Date) {
  if (outcomes.length === 0) return new Map();
  const told = JSON.stringify(outcomes.map(outcomeRecord));
  const rows = await step<{ state: DeliveryState; count: number }>(NOTE, [...key, told, now]);
  return new Map(rows.map(({ state, count }) => [state, count]));
}

/** Where reading stands. */
type Read = Pick<LockedWebhook, "transactionId" | "sequence"> & { readonly read: number };

async function fanOut(step: Step, key: string[], { transactionId, sequence }: LockedWebhook, now: Date): Promise<Read> {
  const [read] = await step<Read & { hadSome: boolean }>(FAN_OUT, [...key, transactionId, sequence, now]);
  if (read?.hadSome) await step(READY, key);
  return read ?? { transactionId, sequence, read: 0 };
}

/** Writes the webhook only where something changed. */
async function keep(
  step: Step,
  key: string[],
  webhook: LockedWebhook,
  { transactionId, sequence }: Pick<Read, "transactionId" | "sequence">,
  { failingSince, resumeTime }: WebhookHealth,
): Promise<void> {
  const isSame =
    transactionId === webhook.transactionId &&
    sequence === webhook.sequence &&
    failingSince?.getTime() === webhook.failingSince?.getTime() &&
    resumeTime?.getTime() === webhook.resumeTime?.getTime();
  if (!isSame) await step(KEEP, [...key, transactionId, sequence, failingSince, resumeTime]);
}

interface ClaimedRow extends Omit<SentEvent, "projectId" | "id">, Omit<Claimed, "runId">, Record<string, unknown> {}

async function claim(
  { newId }: TurnPorts,
  step: Step,
  key: string[],
  { nowMs, places, most }: { nowMs: number; places: number; most: number },
): Promise<ToSend[]> {
  const runId = newId();
  const [projectId = ""] = key;
  const values = [...key, new Date(nowMs), places, most, runId, new Date(nowMs + LEASE_MS)];
  const rows = await step<ClaimedRow>(CLAIM, values);
  return rows.map(({ eventId, attemptCount, firstAttemptTime, ...event }) => ({
    eventId,
    runId,
    attemptCount,
    firstAttemptTime,
    event: event.type === null ? undefined : { ...event, projectId, id: eventId },
  }));
}
