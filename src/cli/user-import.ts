import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { addAbortSignal, type Readable } from "node:stream";
import { type Clock, systemClock } from "../clock.ts";
import { StartError } from "../start-error.ts";
import { type Counts, createImportState, type ImportProgress, readImportState } from "./bulk/import-state.ts";
import { importUsers, totalOf } from "./bulk/import-users.ts";
import { createProgress, grouped, hiddenProgress, type Progress } from "./bulk/progress.ts";
import { createRetryCalls } from "./bulk/retry-calls.ts";
import { fileOutput, streamOutput, type TextOutput } from "./bulk/text-output.ts";
import { CommandEnd } from "./command-end.ts";
import type { Host } from "./host.ts";
import { createInterrupt, INTERRUPTED } from "./interrupt.ts";
import { connectAsProject } from "./project-client.ts";
import type { ServerOptions } from "./server-options.ts";
import { waitTold } from "./user-export.ts";

export interface ImportCommandOptions extends ServerOptions {
  readonly dryRun?: true;
  readonly errors?: string;
  readonly state?: string;
  readonly restart?: true;
  readonly parallel: number;
}

const SOME_REFUSED = 3;
const STANDARD_INPUT = "-";
const READ_BYTES = 256 * 1024;

/** `muster user import`. Ends with 3 where rows were refused, and with 130 where it was interrupted. */
export async function runImport(
  host: Host,
  file: string,
  options: ImportCommandOptions,
  clock: Clock = systemClock,
): Promise<void> {
  const { stop, cut } = createInterrupt(host, clock);
  await using resources = new AsyncDisposableStack();
  const size = await sizeOf(file);
  const client = resources.use(await connectAsProject(host, options.url));
  const path = statePath(file, options);
  const state = createImportState(path, client.projectId);
  if (options.restart) await state.remove();
  const resume = path ? await readImportState(path, client.projectId) : undefined;
  const progress = resources.use(progressFor(host, options, clock));
  const start = clock.monotonic();
  const onProgress = (rows: number, bytes: number) => progress.update(rows, size && bytes / size);
  onProgress(resume ? totalOf(resume.counts) : 0, resume?.offset ?? 0);
  if (resume) progress.say(`muster: going on behind line ${grouped(resume.line)}, as ${path} says\n`);
  const ports = {
    users: client.users,
    retry: createRetryCalls({ clock, stop, onWait: waitTold(progress) }),
    signal: cut,
    dryRun: options.dryRun ?? false,
    errors: await errorsOutput(options, resume, progress, resources),
    rows: options.dryRun && streamOutput(host.stdout),
    state,
    onProgress,
  };
  const source = addAbortSignal(stop, sourceOf(host, file));
  const input = { source, name: file, resume, parallel: options.parallel, stop };
  const counts = await importUsers(ports, input).catch(async (error: unknown) => {
    await state.flush();
    if (stop.aborted) return undefined;
    if (path) progress.say(`muster: it ends early; the same command goes on where ${path} says\n`);
    throw error;
  });
  await state.flush();
  progress[Symbol.dispose]();
  if (stop.aborted || !counts) throw interrupted(host, path);
  await state.remove();
  host.stderr.write(summary(counts, options, (clock.monotonic() - start) / 1_000));
  if (counts.refused > 0) throw new CommandEnd(SOME_REFUSED);
}

const progressFor = (host: Host, { dryRun }: ImportCommandOptions, clock: Clock): Progress =>
  dryRun && host.stdout.isTTY ? hiddenProgress(host.stderr) : createProgress(host.stderr, clock, "rows");

/** Bytes of a file; undefined where nobody knows before it is read. */
async function sizeOf(file: string): Promise<number | undefined> {
  if (file === STANDARD_INPUT) return undefined;
  const found = await stat(file);
  if (found.isDirectory()) throw new StartError(`${file} is a folder`);
  return found.isFile() ? found.size : undefined;
}

const sourceOf = (host: Host, file: string): Readable =>
  file === STANDARD_INPUT ? host.stdin : createReadStream(file, { highWaterMark: READ_BYTES });

/** A dry run leaves no trace. */
function statePath(file: string, { dryRun, state }: ImportCommandOptions): string | undefined {
  if (dryRun) return undefined;
  return state ?? (file === STANDARD_INPUT ? undefined : `${file}.muster-state`);
}

/** What belongs to rows that are imported once more is told once more, and so not kept. */
async function errorsOutput(
  { errors, dryRun }: ImportCommandOptions,
  resume: ImportProgress | undefined,
  progress: Progress,
  resources: AsyncDisposableStack,
): Promise<TextOutput> {
  if (errors) {
    const there = await stat(errors).catch(() => undefined);
    const keepBytes = Math.min(there?.size ?? 0, resume?.errorBytes ?? 0);
    return resources.use(await fileOutput(errors, { keepBytes }));
  }
  // A dry run tells them on standard output, among the others.
  return { bytes: 0, write: async (text) => void (dryRun || progress.say(text)) };
}

function interrupted(host: Host, state: string | undefined): CommandEnd {
  const advice = state ? `run it again to go on: ${state} says how far it has come` : "nothing is kept to go on with";
  host.stderr.write(`muster: interrupted; ${advice}\n`);
  return new CommandEnd(INTERRUPTED);
}

function summary(counts: Counts, { json, dryRun }: ImportCommandOptions, seconds: number): string {
  const rows = totalOf(counts);
  if (json) return `${JSON.stringify({ rows, ...counts, seconds: Number(seconds.toFixed(3)) })}\n`;
  const told = Object.entries(counts).map(([outcome, count]) => `${grouped(count)} ${outcome}`);
  const took = dryRun ? "; nothing was written" : ` in ${seconds.toFixed(1)} s`;
  return `${grouped(rows)} rows: ${told.join(", ")}${took}\n`;
}
