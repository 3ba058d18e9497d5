import { StartError } from "../../start-error.ts";
import { createReadRow, LONGEST_LINE, type Refusal, type Row } from "./import-row.ts";
import type { Counts, ImportProgress, ImportState } from "./import-state.ts";
import { createLineReader, type LineReader, type Position } from "./line-reader.ts";
import { createPipeline } from "./pipeline.ts";
import { type Outcome, type SendPorts, sendRows } from "./send-rows.ts";
import type { TextOutput } from "./text-output.ts";

export interface ImportPorts extends SendPorts {
  /** Takes the refused rows, as JSON Lines. */
  readonly errors: TextOutput;
  /** Takes what came of each row, as JSON Lines. */
  readonly rows?: TextOutput | undefined;
  readonly state: ImportState;
  /** Told of each step: the rows and bytes that are behind it. */
  onProgress(rows: number, bytes: number): void;
}

export interface ImportInput {
  readonly source: AsyncIterable<Uint8Array>;
  /** For messages. */
  readonly name: string;
  /** Where an earlier run left off. */
  readonly resume: ImportProgress | undefined;
  /** Batches under way at a time. */
  readonly parallel: number;
  /** Aborts when no further batch is to be begun. */
  readonly stop: AbortSignal;
}

/** Lines that are sent together. */
interface Batch {
  readonly entries: readonly (Row | Refusal)[];
  readonly rows: readonly Row[];
  /** Where its last line ends. */
  readonly end: Position;
}

/** The most that one BatchUpsertUsers takes; a Struct takes more bytes in binary than in JSON, for which there is room. */
const MOST_ROWS = 1_000;
const MOST_BYTES = 768 * 1024;

export const NO_COUNTS: Counts = { created: 0, changed: 0, unchanged: 0, refused: 0 };

/**
 * Sends the rows of a file in batches, and settles each with the state once it and all before it are acknowledged. Of two rows for
 * one user the later one comes last. A refused row stops no other. Gives the counts, those of the earlier run included.
 */
export async function importUsers(ports: ImportPorts, input: ImportInput): Promise<Counts> {
  const reader = createLineReader(input.source, LONGEST_LINE);
  let counts = input.resume?.counts ?? NO_COUNTS;
  const pipeline = createPipeline<Batch, (Outcome | Refusal)[]>({
    parallel: input.parallel,
    keysOf: ({ rows }) => rows.map((row) => row.externalId),
    work: ({ rows }) => sendRows(ports, rows),
    async settle(batch, results) {
      counts = await settleBatch(ports, batch, results, counts);
    },
  });
  try {
    for await (const batch of batchesOf(reader, input)) await pipeline.add(batch);
  } catch (error) {
    // What is under way is waited for, so that the state holds it.
    await pipeline.finish().catch(() => {});
    if (!input.stop.aborted) throw error;
  }
  await pipeline.finish();
  return counts;
}

async function* batchesOf(reader: LineReader, { resume, name, stop }: ImportInput): AsyncGenerator<Batch> {
  const read = createReadRow();
  let behind = resume === undefined;
  let entries: (Row | Refusal)[] = [];
  let bytes = 0;
  const batch = (): Batch => ({ entries, rows: entries.filter(isRow), end: reader.position() });
  for await (const piece of reader.pieces) {
    for (const line of piece) {
      if (stop.aborted) return;
      if (!behind) {
        behind = isBehind(reader, resume, name);
        continue;
      }
      const entry = read(line);
      if (!entry) continue;
      const size = line.bytes?.length ?? 0;
      entries.push(entry);
      bytes += size;
      if (entries.length < MOST_ROWS && bytes < MOST_BYTES) continue;
      yield batch();
      [entries, bytes] = [[], 0];
    }
  }
  if (!behind)
    throw new StartError(`${name} is shorter than what has been imported of it: use --restart to begin anew`);
  yield batch();
}

const isRow = (entry: Row | Refusal): entry is Row => "request" in entry;

/** Whether the reader stands where the earlier run left off. */
function isBehind(reader: LineReader, resume: ImportProgress | undefined, name: string): boolean {
  if (!resume || reader.offset < resume.offset) return false;
  if (reader.offset === resume.offset && reader.position().digest === resume.digest) return true;
  throw new StartError(`${name} is not what has been imported up to line ${resume.line}: use --restart to begin anew`);
}

async function settleBatch(
  { errors, rows: told, state, onProgress }: ImportPorts,
  { entries, end }: Batch,
  results: readonly (Outcome | Refusal)[],
  before: Counts,
): Promise<Counts> {
  const counts = { ...before };
  const sent = results.values();
  let refusals = "";
  let lines = "";
  for (const entry of entries) {
    const result = isRow(entry) ? sent.next().value : entry;
    if (result === undefined) throw new Error("a row has no result");
    const outcome = typeof result === "string" ? result : "refused";
    counts[outcome]++;
    if (typeof result !== "string") refusals += `${JSON.stringify(result)}\n`;
    if (told) lines += `${JSON.stringify(toldOf(entry, result, outcome))}\n`;
  }
  if (refusals) await errors.write(refusals);
  if (lines) await told?.write(lines);
  state.note({ ...end, counts, errorBytes: errors.bytes });
  onProgress(totalOf(counts), end.offset);
  return counts;
}

/** All rows, whatever came of them. */
export const totalOf = (counts: Counts): number => counts.created + counts.changed + counts.unchanged + counts.refused;

function toldOf(entry: Row | Refusal, result: Outcome | Refusal, outcome: keyof Counts) {
  if (typeof result !== "string") {
    const { line, external_id, ...why } = result;
    return { line, ...(external_id !== undefined && { external_id }), outcome, ...why };
  }
  return { line: entry.line, ...("externalId" in entry && { external_id: entry.externalId }), outcome };
}
