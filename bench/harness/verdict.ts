import type { Figure, Target } from "./row.ts";

/** Whether a figure meets its target, and by how much it falls short if it does not. */
export interface Verdict {
  readonly meets: boolean;
  readonly text: string;
}

/** The subject over the floor; undefined where there is no floor. */
export const ratioOf = ({ subject, floor }: Figure): number | undefined =>
  floor === undefined ? undefined : subject / floor;

/** Judges a figure; one without a target is only told. */
export function verdictOf(figure: Figure): Verdict | undefined {
  const { target } = figure;
  if (!target) return undefined;
  const excess = excessOf(figure, target);
  if (Number.isNaN(excess)) return { meets: false, text: "was not measured" };
  return excess <= 1 ? { meets: true, text: "meets" } : { meets: false, text: `falls short by ${percent(excess)}` };
}

/** How many times as much as allowed; at most 1: met. */
function excessOf(figure: Figure, target: Target): number {
  if ("atMost" in target) return figure.subject / target.atMost;
  if ("atLeast" in target) return target.atLeast / figure.subject;
  const ratio = ratioOf(figure) ?? Number.NaN;
  return "ratioAtMost" in target ? ratio / target.ratioAtMost : target.ratioAtLeast / ratio;
}

const percent = (excess: number) => `${Math.round((excess - 1) * 100)} %`;

/** A target as it is shown. */
export function targetText({ target, unit }: Figure): string {
  if (!target) return "–";
  if ("atMost" in target) return `≤ ${target.atMost} ${unit}`;
  if ("atLeast" in target) return `≥ ${target.atLeast} ${unit}`;
  return "ratioAtMost" in target ? `≤ ${target.ratioAtMost}×` : `≥ ${target.ratioAtLeast}×`;
}
