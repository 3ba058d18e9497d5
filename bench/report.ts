import { readFile } from "node:fs/promises";
import { number } from "./harness/table.ts";

const USAGE = `npm run bench:report -- file …

  Prints what files of bench/results hold as the tables of docs/performance.md: the figures of each row from the last file that
  measured it, in the order of the rows, and how rows grow from the files of runs with --rolls.
`;

/** A figure as it lies in a file of results. */
interface KeptFigure {
  readonly name: string;
  readonly unit: string;
  readonly subject: number;
  readonly floor?: number;
  readonly ratio?: number;
  readonly target: string;
  readonly verdict?: string;
}

interface KeptRow {
  readonly row: string;
  readonly roll?: number;
  readonly figures?: readonly KeptFigure[];
}

const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
const rule = (columns: number): string => `|${"---|".repeat(columns)}`;

function results(rows: readonly KeptRow[]): string[] {
  const latest = new Map(rows.map((row) => [row.row, row.figures ?? []]));
  const names = [...latest.keys()].toSorted();
  if (names.length === 0) return [];
  const heading = ["row", "Muster", "floor", "ratio", "target", "verdict"];
  const lines = names.flatMap((name) => (latest.get(name) ?? []).map(cellsOf));
  return [line(heading), rule(heading.length), ...lines.map(line), ""];
}

const cellsOf = ({ name, unit, subject, floor, ratio, target, verdict = "–" }: KeptFigure): string[] => [
  name,
  `${number(subject)} ${unit}`,
  floor === undefined ? "–" : number(floor),
  ratio === undefined ? "–" : `${ratio.toFixed(2)}×`,
  target,
  verdict,
];

function growth(rows: readonly KeptRow[]): string[] {
  const rolls = [...new Set(rows.flatMap(({ roll }) => roll ?? []))].toSorted((a, b) => a - b);
  if (rolls.length === 0) return [];
  const cells = new Map<string, Map<number, string>>();
  for (const { roll = 0, figures = [] } of rows) {
    for (const { name, unit, subject, floor } of figures) {
      if (!unit.endsWith("CPU")) continue;
      const beside = floor === undefined ? "" : ` (${number(floor)})`;
      cells.set(name, (cells.get(name) ?? new Map()).set(roll, number(subject) + beside));
    }
  }
  const heading = ["row (floor), µs CPU", ...rolls.map((roll) => roll.toLocaleString("en"))];
  const lines = [...cells].map(([name, by]) => line([name, ...rolls.map((roll) => by.get(roll) ?? "–")]));
  return [line(heading), rule(heading.length), ...lines, ""];
}

const files = process.argv.slice(2);
if (files.length === 0 || files.includes("--help")) {
  console.log(USAGE);
  process.exitCode = files.length === 0 ? 2 : 0;
} else {
  const read = async (file: string) => (JSON.parse(await readFile(file, "utf8")) as { rows: KeptRow[] }).rows;
  const rows = (await Promise.all(files.map(read))).flat();
  const measured = rows.filter(({ figures }) => figures !== undefined);
  const byRoll = measured.filter(({ roll }) => roll !== undefined);
  console.log([...results(measured.filter(({ roll }) => roll === undefined)), ...growth(byRoll)].join("\n"));
}
