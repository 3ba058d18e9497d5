import type { Figure } from "./row.ts";
import { ratioOf, targetText, verdictOf } from "./verdict.ts";

const WIDTHS = [44, 16, 16, 8, 12, 24];

/** The heading of the table. */
export const heading = (): string =>
  `${line(["row", "subject", "floor", "ratio", "target", "verdict"])}\n${"-".repeat(WIDTHS.reduce((a, b) => a + b + 1, 0))}`;

/** A figure as a line of the table, with what was seen beside it on a line below. */
export function tableLine(figure: Figure): string {
  const { name, unit, subject, floor, beside } = figure;
  const ratio = ratioOf(figure);
  const cells = [
    name,
    `${number(subject)} ${unit}`,
    floor === undefined ? "–" : `${number(floor)} ${unit}`,
    ratio === undefined ? "–" : `${ratio.toFixed(2)}×`,
    targetText(figure),
    verdictOf(figure)?.text ?? "",
  ];
  return line(cells) + (beside ? `\n    ${beside}` : "");
}

const line = (cells: readonly string[]): string =>
  cells
    .map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0))
    .join(" ")
    .trimEnd();

/** A figure with as many digits as it is good for. */
export const number = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString("en") : value.toFixed(value >= 10 ? 1 : 2);
