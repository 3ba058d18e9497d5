import type { Clock } from "../clock.ts";
import type { Host } from "./host.ts";

/** What a signal asks of a command that takes long. */
export interface Interrupt {
  /** Aborts at the first signal: nothing new is begun. */
  readonly stop: AbortSignal;
  /** Aborts when what is under way has had time enough to end. */
  readonly cut: AbortSignal;
}

/** The exit code of what was interrupted. */
export const INTERRUPTED = 130;

/** How long calls under way may take after the first signal. */
const GRACE_MS = 5_000;
/** A terminal and the npm between it and this process both pass on one Ctrl-C. */
const SAME_SIGNAL_MS = 500;

/** Listens for SIGINT and SIGTERM from now on; the second one ends the process at once. */
export function createInterrupt(host: Host, clock: Clock): Interrupt {
  const stop = new AbortController();
  const cut = new AbortController();
  let firstAt: number | undefined;
  host.onSignal(() => {
    if (firstAt === undefined) {
      firstAt = clock.monotonic();
      clock.schedule(GRACE_MS, () => cut.abort());
      stop.abort();
    } else if (clock.monotonic() - firstAt > SAME_SIGNAL_MS) host.exit(INTERRUPTED);
  });
  return { stop: stop.signal, cut: cut.signal };
}
