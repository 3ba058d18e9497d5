/** Work that a deployment does again and again, whichever of its processes comes to it first. */
export interface Job {
  /** What the table, the metric and the log call it: lower case and hyphens. Another name is another job. */
  readonly name: string;
  /** How long it rests after a run that succeeded, in milliseconds. */
  readonly everyMs: number;
  /**
   * Does what is due, in transactions that are short and each right by itself: a run is broken off when the process ends, and now and
   * then two processes are at it, where one of them stood still for long. Ends soon once the signal aborts. Rejects where something
   * that is due was not done.
   */
  run(signal: AbortSignal): Promise<void>;
}
