import { type Clock, systemClock } from "../clock.ts";
import { type Act, serverAct } from "../db/act.ts";
import { answerWithin } from "../db/answer-within.ts";
import type { Database } from "../db/orm.ts";
import { writeAnywhere } from "../db/recorded.ts";
import { query } from "../db/statement.ts";
import type { Logger } from "../logger.ts";
import type { AnnounceEnd } from "../revocations/revocations.ts";
import type { EndPresence } from "./end-presence.ts";
import { endPresenceOf } from "./suspend-user.ts";
import { DUE_SUSPENSIONS, START_SUSPENSIONS } from "./suspension-statements.ts";

export interface SuspensionStartPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly announceEnd: AnnounceEnd;
  readonly announceEvents: Act["committed"];
  readonly endPresence: EndPresence;
}

/** How often it is looked for suspensions that start: at the start itself, where it was known at the look before. */
const LOOK_MS = 500;
const MOST_AT_ONCE = 1_000;
/** A look that takes longer is given up for lost. */
const LOST_MS = 5_000;

interface Due {
  readonly projects: string[];
  readonly users: string[];
  readonly nextStart: Date | null;
}

/** Has suspensions start. Any number of servers may. */
export interface SuspensionStarts extends AsyncDisposable {
  /** Has it look at once: there may be one that starts soon. */
  wake(): void;
}

/** Looks at once, and from then on, for suspensions that start. */
export function startSuspensions(ports: SuspensionStartPorts): SuspensionStarts {
  const { db, clock, logger, announceEnd } = ports;
  const act = serverAct("job/suspensions", ports.announceEvents);
  let closed = false;
  let timer: Disposable | undefined;
  let looking: Promise<void> | undefined;
  let again = false;
  let ending: Promise<unknown> = Promise.resolve();

  /** Gives for how long there is nothing to do, as far as is known. */
  async function startDue(): Promise<number> {
    const values = [new Date(clock.now()), MOST_AT_ONCE];
    const [row] = await answerWithin(systemClock, LOST_MS, query<Due>(db.pool, DUE_SUSPENSIONS, values));
    const due = row?.users.map((userId, index) => ({ projectId: row.projects[index] ?? "", userId })) ?? [];
    if (due.length > 0) await startOf(due);
    if (due.length === MOST_AT_ONCE) return 0;
    return row?.nextStart ? Math.min(LOOK_MS, Math.max(0, row.nextStart.getTime() - clock.now())) : LOOK_MS;
  }

  /** The presence first: what is started is not looked for again. */
  async function startOf(due: readonly { readonly projectId: string; readonly userId: string }[]): Promise<void> {
    const presence = endPresenceOf(ports, due);
    ending = Promise.all([ending, presence.over]);
    await presence.soon;
    const columns = [due.map(({ projectId }) => projectId), due.map(({ userId }) => userId)];
    const starting = writeAnywhere(db, { act }, START_SUSPENSIONS, [new Date(clock.now()), ...columns]);
    await answerWithin(systemClock, LOST_MS, starting);
    announceEnd();
  }

  async function look(): Promise<void> {
    again = false;
    const waitMs = await startDue().catch((error: unknown) => {
      if (!closed) logger.warn({ err: error }, "it cannot be seen which suspensions start");
      return LOOK_MS;
    });
    looking = undefined;
    if (again) wake();
    else if (!closed) timer = clock.schedule(waitMs, wake);
  }

  function wake(): void {
    if (looking) again = true;
    else if (!closed) {
      timer?.[Symbol.dispose]();
      looking = look();
    }
  }

  wake();
  return {
    wake,
    async [Symbol.asyncDispose]() {
      closed = true;
      timer?.[Symbol.dispose]();
      await looking;
      await ending;
    },
  };
}
