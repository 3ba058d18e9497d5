import { MusterError } from "../errors.ts";

/** The exports that users are given of themselves at the moment, one each: it is long work that a user asks for by a short call. */
export interface RunningExports {
  /** Notes that one begins, until it is disposed. RATE_LIMITED while another one of the same user runs in this process. */
  begin(projectId: string, userId: string): Disposable;
}

const RETRY_AFTER_MS = 1_000;

/** Without any that runs. */
export function createRunningExports(): RunningExports {
  const running = new Set<string>();
  return {
    begin(projectId, userId) {
      const key = `${projectId}:${userId}`;
      if (running.has(key)) throw new MusterError("RATE_LIMITED", { retryAfterMs: RETRY_AFTER_MS });
      running.add(key);
      return { [Symbol.dispose]: () => void running.delete(key) };
    },
  };
}
