import { Bell } from "../../bell.ts";
import { type Clock, systemClock } from "../../clock.ts";
import { answerWithin } from "../../db/answer-within.ts";
import type { Listener } from "../../db/listener.ts";
import type { Database } from "../../db/orm.ts";
import { EVENTS_CHANNEL } from "../../events/append-event.ts";
import type { Logger } from "../../logger.ts";
import { lookForWork, type WebhookWork } from "./look-for-work.ts";

export interface FinderPorts {
  readonly db: Database;
  readonly listener: Listener;
  /** By which deliveries are due. */
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks for what there is to do for webhooks. */
export interface WorkFinder extends AsyncDisposable {
  /** For how long the first of the deliveries that are due has been, in milliseconds, as of the last look at all of them. */
  readonly overdueMs: number;
}

/** How often all webhooks are looked at: a hint that is lost costs this much. */
const POLL_MS = 1_000;
/** The least from one look to the next, so that what comes together is seen together. */
const PACE_MS = 5;
/** Events that are not settled are looked for again after this long, then after twice as long, and so on, up to the most. */
const UNSETTLED_MS = { first: 5, most: 250 };
/** A look that takes longer is given up for lost. */
const LOST_MS = 5_000;

/** Tells `onWork` of each webhook for which there is something to do, at once on a hint, and from look to look as long as there is. */
export function startFinder(ports: FinderPorts, onWork: (work: WebhookWork) => void): WorkFinder {
  const finder = new PollingFinder(ports, onWork);
  finder.start();
  return finder;
}

class PollingFinder implements WorkFinder {
  readonly #ports: FinderPorts;
  readonly #onWork: (work: WebhookWork) => void;
  readonly #bell = new Bell(systemClock);
  /** Projects that have webhooks, as of the last look at all. */
  #projects: ReadonlySet<string> = new Set();
  readonly #hinted = new Set<string>();
  /** Projects with events that are not settled: when to look again, and how long it was waited for that. */
  readonly #unsettled = new Map<string, { at: number; waitMs: number }>();
  #pollAt = 0;
  #overdueMs = 0;
  #closed = false;
  #listening: Promise<Disposable> | undefined;
  #running: Promise<void> | undefined;

  constructor(ports: FinderPorts, onWork: (work: WebhookWork) => void) {
    this.#ports = ports;
    this.#onWork = onWork;
  }

  get overdueMs(): number {
    return this.#overdueMs;
  }

  start(): void {
    const onGap = () => {
      this.#pollAt = 0;
      this.#bell.ring();
    };
    const onNotification = (projectId: string) => {
      if (!this.#projects.has(projectId)) return;
      this.#hinted.add(projectId);
      this.#bell.ring();
    };
    this.#listening = this.#ports.listener.listen(EVENTS_CHANNEL, { onNotification, onGap });
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#bell.ring();
    // While the database is away, the listener's acknowledgement may never come: nothing waits for it.
    void this.#listening?.then((subscription) => subscription[Symbol.dispose]());
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      const startedAt = systemClock.monotonic();
      const asked = this.#asked(startedAt);
      if (asked === null || asked.length > 0) await this.#look(asked, startedAt);
      const nextAt = Math.min(this.#pollAt, ...[...this.#unsettled.values()].map(({ at }) => at));
      await this.#bell.wait(nextAt - systemClock.monotonic());
      await rest(startedAt + PACE_MS - systemClock.monotonic());
    }
  }

  /** The projects to look at now; null: all. */
  #asked(now: number): string[] | null {
    const due = [...this.#unsettled].filter(([, { at }]) => at <= now).map(([projectId]) => projectId);
    const asked = new Set([...this.#hinted, ...due]);
    this.#hinted.clear();
    return now >= this.#pollAt ? null : [...asked];
  }

  async #look(asked: string[] | null, now: number): Promise<void> {
    const { db, clock, logger } = this.#ports;
    if (asked === null) this.#pollAt = now + POLL_MS;
    try {
      const found = await answerWithin(systemClock, LOST_MS, lookForWork(db, asked));
      if (this.#closed) return;
      this.#noteUnsettled(found, asked);
      const nowMs = clock.now();
      if (asked === null) this.#noteAll(found, nowMs);
      for (const work of found) if (isToDo(work, nowMs)) this.#onWork(work);
    } catch (error) {
      if (!this.#closed) logger.warn({ err: error }, "it cannot be seen what there is to deliver");
    }
  }

  #noteAll(found: readonly WebhookWork[], nowMs: number): void {
    this.#projects = new Set(found.map(({ projectId }) => projectId));
    const dueSince = found.map(({ nextAttemptTime }) => nextAttemptTime?.getTime() ?? nowMs);
    this.#overdueMs = nowMs - Math.min(nowMs, ...dueSince);
  }

  #noteUnsettled(found: readonly WebhookWork[], asked: readonly string[] | null): void {
    const waits = new Set(found.filter(({ isUnsettled }) => isUnsettled).map(({ projectId }) => projectId));
    const progressed = new Set(found.filter(({ hasEvents }) => hasEvents).map(({ projectId }) => projectId));
    for (const projectId of asked ?? this.#unsettled.keys())
      if (!waits.has(projectId)) this.#unsettled.delete(projectId);
    const now = systemClock.monotonic();
    for (const projectId of waits) {
      const before = progressed.has(projectId) ? undefined : this.#unsettled.get(projectId);
      const waitMs = before ? Math.min(before.waitMs * 2, UNSETTLED_MS.most) : UNSETTLED_MS.first;
      this.#unsettled.set(projectId, { at: now + waitMs, waitMs });
    }
  }
}

const isToDo = ({ hasEvents, disabled, nextAttemptTime }: WebhookWork, nowMs: number): boolean =>
  hasEvents || (nextAttemptTime !== null && (disabled || nextAttemptTime.getTime() <= nowMs));

async function rest(ms: number): Promise<void> {
  if (ms <= 0) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  systemClock.schedule(Math.ceil(ms), resolve);
  await promise;
}
