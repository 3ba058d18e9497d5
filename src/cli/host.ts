import type { Readable } from "node:stream";

/** Standard output or standard error. */
export interface Output {
  /** Calls back once the text has been taken, or with what it failed for. */
  write(text: string, done?: (error?: Error | null) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Whether people look at it. */
  readonly isTTY?: boolean;
  /** Characters in a line of a terminal. */
  readonly columns?: number;
}

/** What the command line needs of the process it runs in. */
export interface Host {
  /** The words after the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Calls back for each SIGINT and SIGTERM, which then no longer end the process. */
  onSignal(listener: () => void): void;
  /** Ends the process at once. */
  exit(code: number): never;
}
