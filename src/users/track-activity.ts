import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import type { Logger } from "../logger.ts";

/** Keeps `last_active_time`. */
export interface Activity extends AsyncDisposable {
  /** The user called just now. Returns at once: times are written together, about once a minute. */
  seen(projectId: string, userId: string): void;
}

/** How long a time may wait before it is written: less than the minute that `last_active_time` promises, by as little as a write takes. */
const FLUSH_MS = 50_000;
/** More users than this are written at once, so that what waits stays small. */
const MOST_WAITING = 5_000;

/** $1 projects, $2 users, $3 milliseconds since the epoch, position by position. A time never goes back. */
const TOUCH: Statement = {
  name: "users_touch",
  text: `
    update users u set last_active_time = to_timestamp(seen.ms / 1000.0)
    from (select * from unnest($1::uuid[], $2::uuid[], $3::float8[]) as s(project_id, id, ms) order by project_id, id) seen
    where u.project_id = seen.project_id and u.id = seen.id
      and (u.last_active_time is null or u.last_active_time < to_timestamp(seen.ms / 1000.0))`,
};

/** Remembers who called and writes it in one statement at a time. Disposing it writes what waits. */
export function createActivity(db: Database, clock: Clock, logger: Logger): Activity {
  let waiting = new Map<string, { projectId: string; userId: string; at: number }>();
  let timer: Disposable | undefined;
  let writing: Promise<void> = Promise.resolve();

  async function write(): Promise<void> {
    const seen = [...waiting.values()];
    waiting = new Map();
    if (seen.length === 0) return;
    const columns = [seen.map((it) => it.projectId), seen.map((it) => it.userId), seen.map((it) => it.at)];
    // What is lost with the database away is at most a minute of what is only good to a minute.
    await query(db.pool, TOUCH, columns).catch((error: unknown) =>
      logger.warn({ err: error, users: seen.length }, "last active times were not written"),
    );
  }

  function flush(): void {
    timer?.[Symbol.dispose]();
    timer = undefined;
    writing = writing.then(write);
  }

  return {
    seen(projectId, userId) {
      const waits = waiting.get(userId);
      if (waits) {
        waits.at = clock.now();
        return;
      }
      waiting.set(userId, { projectId, userId, at: clock.now() });
      if (waiting.size >= MOST_WAITING) flush();
      else timer ??= clock.schedule(FLUSH_MS, flush);
    },
    async [Symbol.asyncDispose]() {
      flush();
      await writing;
    },
  };
}
