import { mkdir, readdir, writeFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { basename, join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { type Bench, createBench, startDatabase } from "./harness/bench.ts";
import { measureCalls } from "./harness/measure-calls.ts";
import { makeRoll, type Roll } from "./harness/roll.ts";
import { type Figure, loadRow, type Row } from "./harness/row.ts";
import { surroundings } from "./harness/surroundings.ts";
import { heading, tableLine } from "./harness/table.ts";
import { ratioOf, targetText, verdictOf } from "./harness/verdict.ts";

const USAGE = `npm run bench -- [row …] [--rounds n] [--users n | --rolls n,…] [--profile] [--list]

  Without a row: all of them.
  --rounds n   how often floor and subject take turns, 1 to 50 (5)
  --users n    how many users a roll has that is listed, 1000 to 10000000 (100000)
  --rolls n,…  how the rows of calls grow: each of them once for each of these numbers of users that its project has beforehand, such as
               10000,100000,1000000
  --profile    also writes a CPU profile of the server for each line to bench/results/profiles
  --list       names the rows
`;

const RESULTS = join(import.meta.dirname, "results");

/** What came of a row: its figures, or why there are none. */
interface Outcome {
  readonly row: string;
  /** How many users its project had beforehand, if that was asked for. */
  readonly roll?: number;
  readonly figures?: readonly Figure[];
  readonly failure?: string;
  readonly seconds: number;
}

type Rows = ReadonlyMap<string, { readonly row: Row; readonly url: string }>;
type Database = Awaited<ReturnType<typeof startDatabase>>;

/** The rows by their names, which are those of their files. */
async function findRows(): Promise<Rows> {
  const folder = new URL("./rows/", import.meta.url);
  const files = (await readdir(folder)).filter((file) => file.endsWith(".ts")).toSorted();
  const urls = files.map((file) => new URL(file, folder).href);
  const rows = await Promise.all(urls.map(async (url) => ({ url, row: await loadRow(url) })));
  return new Map(rows.map((it) => [basename(it.url, ".ts"), it]));
}

async function measure(bench: Bench, name: string, { row, url }: { row: Row; url: string }): Promise<Outcome> {
  const start = performance.now();
  const seconds = () => Math.round((performance.now() - start) / 100) / 10;
  try {
    const figures = "cases" in row ? await measureCalls(bench, name, row, url) : await row.measure(bench);
    return { row: name, figures, seconds: seconds() };
  } catch (error) {
    return { row: name, failure: error instanceof Error ? error.message : String(error), seconds: seconds() };
  }
}

function print({ row, figures = [], failure, seconds }: Outcome): void {
  for (const figure of figures) console.log(tableLine(figure));
  if (failure !== undefined) console.log(`${row} was not measured: ${failure}`);
  console.log(`    (${seconds} s)`);
}

async function writeDown(outcomes: readonly Outcome[], rounds: number): Promise<string> {
  const around = surroundings();
  const file = join(RESULTS, `${around.time.replaceAll(/[:.]/g, "-")}.json`);
  const rows = outcomes.map((outcome) => ({
    ...outcome,
    figures: outcome.figures?.map((it) => ({
      ...it,
      ratio: ratioOf(it),
      target: targetText(it),
      verdict: verdictOf(it)?.text,
    })),
  }));
  await mkdir(RESULTS, { recursive: true });
  await writeFile(file, `${JSON.stringify({ ...around, rounds, rows }, undefined, 2)}\n`);
  return file;
}

function summary(outcomes: readonly Outcome[]): string {
  const verdicts = outcomes.flatMap(({ figures = [] }) => figures.flatMap((figure) => verdictOf(figure) ?? []));
  const met = verdicts.filter(({ meets }) => meets).length;
  const failed = outcomes.filter(({ failure }) => failure !== undefined).length;
  return `${met} targets met, ${verdicts.length - met} fall short, ${failed} rows not measured`;
}

interface Wanted {
  readonly rows: Rows;
  readonly rounds: number;
  readonly users: number;
  readonly rolls: readonly number[];
  readonly profiles: string | undefined;
}

/** What the command line asks for; undefined, and told why, if that cannot be. */
function wantedOf(rows: Rows, positionals: readonly string[], values: Record<"rounds" | "users" | "rolls", string>) {
  const [rounds, users] = [Number(values.rounds), Number(values.users)];
  const rolls = values.rolls === "" ? [] : values.rolls.split(",").map(Number);
  const unknown = positionals.filter((name) => !rows.has(name));
  const isSound = isWithin(rounds, 1, 50) && [users, ...rolls].every((count) => isWithin(count, 1_000, 10_000_000));
  if (unknown.length === 0 && isSound) {
    const named = [...rows].filter(([name]) => positionals.length === 0 || positionals.includes(name));
    return { rows: new Map(named), rounds, users, rolls };
  }
  console.error(unknown.length > 0 ? `There is no row ${unknown.join(", ")}.\n\n${USAGE}` : USAGE);
  return undefined;
}

/** Measures the rows, one after the other, all from the same roll. */
async function* outcomesOf({ rows, rounds, users, profiles }: Wanted, database: Database, roll?: Roll) {
  for (const [name, it] of rows) {
    if (roll && !("cases" in it.row)) continue;
    await using bench = createBench({ rounds, users: roll?.users ?? users, database, roll, profiles });
    const outcome = { ...(await measure(bench, name, it)), ...(roll && { roll: roll.users }) };
    print(outcome);
    yield outcome;
  }
}

async function* measureAll(wanted: Wanted): AsyncGenerator<Outcome> {
  await using database = await startDatabase();
  console.log(heading());
  if (wanted.rolls.length === 0) yield* outcomesOf(wanted, database);
  for (const users of wanted.rolls) {
    console.log(`With ${users.toLocaleString("en")} users beforehand:`);
    yield* outcomesOf(wanted, database, await makeRoll(database.address, users));
  }
}

async function main(): Promise<void> {
  const numbers = { rounds: text("5"), users: text("100000"), rolls: text("") } as const;
  const options = { help: flag, list: flag, profile: flag, ...numbers } as const;
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const rows = await findRows();
  if (values.help) return console.log(USAGE);
  if (values.list) {
    for (const [name, { row }] of rows) console.log(`${name.padEnd(20)} ${row.about}; beside ${row.floor}`);
    return;
  }
  const wanted = wantedOf(rows, positionals, values);
  if (!wanted) {
    process.exitCode = 2;
    return;
  }
  const [load = 0] = loadavg();
  if (load > availableParallelism() / 2)
    console.log(`The machine is busy (load ${load.toFixed(1)}): latencies and rates will be worse than they are.`);
  const profiles = values.profile ? join(RESULTS, "profiles") : undefined;
  const outcomes = await Array.fromAsync(measureAll({ ...wanted, profiles }));
  console.log(`${summary(outcomes)}; written to ${await writeDown(outcomes, wanted.rounds)}`);
  if (outcomes.some(({ failure }) => failure !== undefined)) process.exitCode = 1;
}

const flag = { type: "boolean", default: false } as const;
const text = <T extends string>(value: T) => ({ type: "string", default: value }) as const;
const isWithin = (value: number, least: number, most: number) =>
  Number.isInteger(value) && value >= least && value <= most;

await main();
