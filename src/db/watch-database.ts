import type { Clock } from "../clock.ts";
import type { Database } from "./orm.ts";
import { query, type Statement } from "./statement.ts";

const PING: Statement = { name: "ping", text: "select 1", withinMs: 5_000 };
const EVERY_MS = 1_000;

/** Asks the database once a second whether it is there, and tells `onAnswer`. Disposing it ends that. */
export function watchDatabase(db: Database, clock: Clock, onAnswer: (available: boolean) => void): Disposable {
  let ended = false;
  let next: Disposable | undefined;
  async function ask(): Promise<void> {
    const available = await query(db.pool, PING, []).then(
      () => true,
      () => false,
    );
    if (ended) return;
    onAnswer(available);
    next = clock.schedule(EVERY_MS, () => void ask());
  }
  next = clock.schedule(EVERY_MS, () => void ask());
  return {
    [Symbol.dispose]() {
      ended = true;
      next?.[Symbol.dispose]();
    },
  };
}
