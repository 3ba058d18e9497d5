/** What a child does on a command, with an argument that its parent sends. */
export type Commands = Readonly<Record<string, (argument: never) => unknown>>;

interface Asked {
  readonly id: number;
  readonly command: string;
  readonly argument: unknown;
}

/** Answers the parent until it disconnects, which ends the process after `close`. */
export function answerParent(commands: Commands, close: () => Promise<void> = async () => {}): void {
  process.on("message", (asked: Asked) => void answer(commands, asked).then((reply) => process.send?.(reply)));
  process.once("disconnect", () => void close().finally(() => process.exit()));
}

async function answer(commands: Commands, { id, command, argument }: Asked): Promise<object> {
  try {
    const run = commands[command];
    if (!run) throw new Error(`no such command: ${command}`);
    return { id, answer: await run(argument as never) };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

/** What every server process tells of itself. */
export const USAGE = {
  /** Microseconds of CPU so far, of all threads. */
  cpu(): number {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Resident bytes after garbage was collected. */
  async memory(): Promise<number> {
    for (let pass = 0; pass < 3; pass++) {
      (globalThis as { gc?: () => void }).gc?.();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return process.memoryUsage.rss();
  },
};
