import { type Clock, systemClock } from "../clock.ts";
import { StartError } from "../start-error.ts";
import { exportUsers } from "./bulk/export-users.ts";
import { findLastLine } from "./bulk/last-line.ts";
import { createProgress, grouped, hiddenProgress, type Progress } from "./bulk/progress.ts";
import { createRetryCalls } from "./bulk/retry-calls.ts";
import { fileOutput, streamOutput, type TextOutput } from "./bulk/text-output.ts";
import { CommandEnd } from "./command-end.ts";
import type { Host } from "./host.ts";
import { createInterrupt, INTERRUPTED } from "./interrupt.ts";
import { connectAsProject } from "./project-client.ts";
import type { ServerOptions } from "./server-options.ts";

export interface ExportCommandOptions extends ServerOptions {
  readonly output?: string;
  readonly resume?: true;
  readonly allFields?: true;
}

/** `muster user export`. Throws StartError for a file that is there, unless it is to be resumed. */
export async function runExport(host: Host, options: ExportCommandOptions, clock: Clock = systemClock): Promise<void> {
  if (options.resume && !options.output) throw new StartError("--resume goes on with a file: name it with --output");
  const interrupt = createInterrupt(host, clock);
  await using resources = new AsyncDisposableStack();
  const client = resources.use(await connectAsProject(host, options.url));
  const { output, after } = await openOutput(host, options, resources);
  const isAmongRows = !options.output && host.stdout.isTTY;
  const progress = resources.use(
    isAmongRows ? hiddenProgress(host.stderr) : createProgress(host.stderr, clock, "users"),
  );
  progress.update(0);
  const start = clock.monotonic();
  const count = await written(interrupt.stop, () =>
    exportUsers(
      {
        users: client.users,
        retry: createRetryCalls({ clock, stop: interrupt.stop, onWait: waitTold(progress) }),
        signal: interrupt.stop,
        output,
        onProgress: (users) => progress.update(users),
      },
      { after, allFields: options.allFields ?? false },
    ),
  );
  progress[Symbol.dispose]();
  const seconds = (clock.monotonic() - start) / 1_000;
  host.stderr.write(
    options.json
      ? `${JSON.stringify({ users: count, seconds: Number(seconds.toFixed(3)) })}\n`
      : `${grouped(count)} users in ${seconds.toFixed(1)} s\n`,
  );
}

/** Says why nothing goes on, once for each cause. */
export function waitTold(progress: Progress): (message: string) => void {
  let told: string | undefined;
  return (message) => {
    if (message === told) return;
    told = message;
    progress.say(`muster: it is tried again: ${message}\n`);
  };
}

async function openOutput(
  host: Host,
  { output: path, resume }: ExportCommandOptions,
  resources: AsyncDisposableStack,
): Promise<{ output: TextOutput; after: string | undefined }> {
  if (!path) return { output: streamOutput(host.stdout), after: undefined };
  const last = resume ? await findLastLine(path) : undefined;
  const output = resources.use(await fileOutput(path, { keepBytes: last?.bytes }));
  return { output, after: last?.text === undefined ? undefined : externalIdOf(last.text, path) };
}

function externalIdOf(text: string, path: string): string {
  try {
    const { external_id: externalId } = JSON.parse(text) as { external_id?: unknown };
    if (typeof externalId === "string") return externalId;
  } catch {
    // It is said below.
  }
  throw new StartError(`${path} is no export of users: its last whole line names none`);
}

async function written(stop: AbortSignal, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (stop.aborted) throw new CommandEnd(INTERRUPTED);
    throw error;
  }
}
