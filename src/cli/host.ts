/** What the command line needs of the process it runs in. */
export interface Host {
  /** The words after the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
  /** Calls back for each SIGINT and SIGTERM, which then no longer end the process. */
  onSignal(listener: () => void): void;
  /** Ends the process at once. */
  exit(code: number): never;
}
