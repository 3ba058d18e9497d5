import type { Micros, Step } from "./chain.ts";

/** What was last set for a user. Never changed: another set makes another record. */
export interface PresenceRecord {
  /** Microseconds of the engine's clock, moved on where that did not: strictly rising per user. */
  readonly revision: number;
  /** When it was set: the chain's spans count from here. */
  readonly setAt: Micros;
  /** When the first step came into force: before `setAt` where the chain was refreshed without a change. */
  readonly since: Micros;
  readonly steps: readonly Step[];
}

/** What is in force for a user at a moment. */
export interface EffectivePresence {
  readonly status: string;
  readonly message?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Since when; unset: never set. */
  readonly since?: Micros;
  /** When it turns into `nextStatus`; unset: never by itself. */
  readonly until?: Micros;
  readonly nextStatus?: string;
  /** 0: never set. */
  readonly revision: number;
  /** Which link of the chain, from 0; one past the last where the chain is over and the default is in force. */
  readonly step: number;
}

/** One link's place in time: in force from `start`, included, to `end`, excluded. */
export interface Span {
  readonly step: number;
  readonly start: Micros;
  /** Infinity: it stays until another chain is set. */
  readonly end: Micros;
}

const NEVER_SET: Span = { step: 0, start: Number.NEGATIVE_INFINITY, end: Number.POSITIVE_INFINITY };

/** Which link is in force at `time`. Spans are half-open; before `setAt` the first one is. */
export function spanAt(record: PresenceRecord | undefined, time: Micros): Span {
  if (!record) return NEVER_SET;
  let start = record.setAt;
  for (const [step, { ttl }] of record.steps.entries()) {
    const end = ttl === undefined ? Number.POSITIVE_INFINITY : start + ttl;
    if (time < end) return { step, start: step === 0 ? record.since : start, end };
    start = end;
  }
  return { step: record.steps.length, start, end: Number.POSITIVE_INFINITY };
}

/** The presence of a record at one of its spans. `defaultStatus` is in force where nothing was set or the chain is over. */
export function presenceIn(record: PresenceRecord | undefined, span: Span, defaultStatus: string): EffectivePresence {
  if (!record) return { status: defaultStatus, revision: 0, step: 0 };
  const { ttl: _, ...shown } = record.steps[span.step] ?? { status: defaultStatus };
  const ends = Number.isFinite(span.end);
  return {
    ...shown,
    since: span.start,
    ...(ends && { until: span.end, nextStatus: record.steps[span.step + 1]?.status ?? defaultStatus }),
    revision: record.revision,
    step: span.step,
  };
}

/** The presence in force at `time`: a pure function, so nothing needs to be written when a link expires. */
export const presenceAt = (
  record: PresenceRecord | undefined,
  time: Micros,
  defaultStatus: string,
): EffectivePresence => presenceIn(record, spanAt(record, time), defaultStatus);
