import { invalid } from "../errors.ts";

/** Microseconds: of the engine's clock since the Unix epoch for a moment, or a length of time. An integer below 2⁵³. */
export type Micros = number;

/** One link of a chain: what is in force for `ttl`, after which the next link is. */
export interface Step {
  readonly status: string;
  /** A line for people to read. */
  readonly message?: string;
  /** The project's own data, a JSON object. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** How long it lasts; only the last step may go without, and then lasts until another chain is set. */
  readonly ttl?: Micros;
}

/** What was set for a user, each step but the last with a `ttl`. Nobody sets one without steps: it is how a presence is ended. */
export interface Chain {
  readonly steps: readonly Step[];
  /** The steps as they are stored and compared: JSON without spaces. */
  readonly text: string;
}

/** The chain that is over as soon as it is set. */
export const ENDED: Chain = { steps: [], text: "[]" };

export const MAX_STEPS = 64;
const MAX_BYTES = 4_096;
const MAX_SPAN: Micros = 30 * 24 * 3_600 * 1_000_000;

/**
 * Makes a chain of what a caller sent, links in order. At most 64 steps, 4 KiB as JSON in UTF-8, and 30 d in all.
 * @throws REQUEST_INVALID, naming the field as a path below `field`.
 */
export function createChain(steps: readonly Step[], field: string): Chain {
  const path = (index: number) => field + ".expires_to".repeat(index);
  if (steps.length > MAX_STEPS) throw invalid(path(MAX_STEPS), `a chain has at most ${MAX_STEPS} presences`);
  let span = 0;
  for (const [index, { ttl }] of steps.entries()) {
    if (ttl === undefined && index < steps.length - 1) throw invalid(path(index + 1), "expires_to needs a ttl");
    if (ttl !== undefined && ttl <= 0) throw invalid(`${path(index)}.ttl`, "must be greater than zero");
    span += ttl ?? 0;
    if (span > MAX_SPAN) throw invalid(`${path(index)}.ttl`, "the spans of a chain are at most 30 days together");
  }
  const text = JSON.stringify(steps);
  if (Buffer.byteLength(text) > MAX_BYTES) throw invalid(field, `a chain has at most ${MAX_BYTES} bytes as JSON`);
  return { steps, text };
}

/** How long a chain lasts; undefined: its last step stays. */
export const spanOf = (steps: readonly Step[]): Micros | undefined =>
  steps.reduce<Micros | undefined>(
    (span, { ttl }) => (span === undefined || ttl === undefined ? undefined : span + ttl),
    0,
  );

/** The steps of a chain that `createChain` made. */
export const readSteps = (text: string): readonly Step[] => JSON.parse(text) as Step[];
