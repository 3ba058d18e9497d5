import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Clock, systemClock } from "../../src/clock.ts";
import { createListener, LISTENER_NAME } from "../../src/db/listener.ts";
import { createNotifier } from "../../src/db/notifier.ts";
import type { Database } from "../../src/db/orm.ts";
import { createIds } from "../../src/ids.ts";
import { createLogger } from "../../src/logger.ts";
import { createChain, type Step } from "../../src/presence/chain.ts";
import type { PresenceEngine } from "../../src/presence/engine.ts";
import { createPostgresEngine } from "../../src/presence/postgres/postgres-engine.ts";
import { createPresence, type Presence } from "../../src/presence/presence.ts";
import { type WatchInput, watchPresence } from "../../src/presence/watch.ts";
import type { WatchEvent, WatchMessage } from "../../src/presence/watch-event.ts";

const logger = createLogger("silent");

/** A project, by its id. */
export async function makeProject(db: Database): Promise<string> {
  const id = randomUUID();
  await db.pool.query(
    "insert into projects (id, display_name, create_time, update_time) values ($1, 'test', now(), now())",
    [id],
  );
  return id;
}

/** Users of a project, by their ids. The external id of each is `ext-<id>`. */
export async function makeUsers(db: Database, projectId: string, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await db.pool.query(
    `insert into users (project_id, id, external_id, create_time, update_time)
     select $1, id, 'ext-' || id, now(), now() from unnest($2::uuid[]) as id`,
    [projectId, ids],
  );
  return ids;
}

export async function deleteUser(db: Database, projectId: string, userId: string): Promise<void> {
  await db.pool.query("delete from users where project_id = $1 and id = $2", [projectId, userId]);
  await db.pool.query("insert into deleted_users values ($1, $2, now())", [projectId, userId]);
}

/** Suspends a user for good, as the statement that does it leaves it. */
export async function suspendUser(db: Database, projectId: string, userId: string): Promise<void> {
  const suspension = { id: randomUUID(), reason: "", start_time: new Date(0).toISOString(), blocks_sign_in: true };
  await db.pool.query("update users set suspensions = $3 where project_id = $1 and id = $2", [
    projectId,
    userId,
    JSON.stringify([suspension]),
  ]);
}

/** One process's engine on Postgres. */
export function startEngine(db: Database): PresenceEngine {
  const listener = createListener(db.address, systemClock, logger);
  const notifier = createNotifier(db, systemClock, logger);
  const engine = createPostgresEngine({ db, listener, notifier, logger });
  return {
    ...engine,
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await notifier[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

/** One process's presence. Another call is another process. */
export function startPresence(db: Database, clock: Clock = systemClock, engine = startEngine(db)): Presence {
  const projects = { get: async () => ({ settings: { defaultPresence: "offline", usersMayList: false } }) };
  const listener = createListener(db.address, systemClock, logger);
  const presence = createPresence({ db, engine, listener, clock, newId: createIds(clock), logger, projects });
  return {
    ...presence,
    async [Symbol.asyncDispose]() {
      await presence[Symbol.asyncDispose]();
      await listener[Symbol.asyncDispose]();
    },
  };
}

export const set = (presence: Presence, projectId: string, userId: string, ...steps: Step[]) =>
  presence.writer.set({ subject: { projectId, userId }, chain: createChain(steps, "presence") });

/** What a reader sees of one user. */
export interface Seen {
  readonly status: string;
  readonly revision: number;
  readonly step: number;
}

/** What a watch of `.system` takes, what is left out being the ordinary. */
export type WatchRequest = Partial<WatchInput> & Pick<WatchInput, "keys"> & { readonly projectId: string };

export const watchInput = ({ projectId, ...input }: WatchRequest): WatchInput => ({
  owner: { projectId, userId: undefined },
  minIntervalMs: 0,
  resumeToken: new Uint8Array(),
  ...input,
});

/** A reader that accepts at once whatever comes. */
export class Reader implements AsyncDisposable {
  readonly messages: WatchMessage[] = [];
  /** The latest state of each user. */
  readonly state = new Map<string, Seen>();
  readonly deleted: string[] = [];
  /** What the stream failed with. */
  failure: unknown;
  readonly #left = new AbortController();
  readonly ended = new AbortController();
  readonly #done: Promise<void>;

  constructor(presence: Presence, { projectId, ...input }: WatchRequest) {
    const signals = { left: this.#left.signal, ended: this.ended.signal };
    this.#done = this.#read(watchPresence(presence, watchInput({ projectId, ...input }), signals));
  }

  get kinds(): WatchEvent["kind"][] {
    return this.messages.map(({ event }) => event.kind);
  }

  statusOf(userId: string): string | undefined {
    return this.state.get(userId)?.status;
  }

  /** All statuses a user was seen in, in order. */
  historyOf(userId: string): string[] {
    return this.messages.flatMap(({ event }) =>
      event.kind === "update" ? event.presences.filter((it) => it.userId === userId).map(({ status }) => status) : [],
    );
  }

  until(condition: (reader: this) => boolean): Promise<void> {
    return eventually(() => condition(this));
  }

  snapshot(): Promise<void> {
    return this.until(({ kinds }) => kinds.includes("snapshotComplete"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#left.abort(new Error("the reader left"));
    await this.#done;
  }

  async #read(stream: AsyncIterable<WatchMessage>): Promise<void> {
    try {
      for await (const message of stream) this.#take(message);
    } catch (error) {
      this.failure = error;
    }
  }

  #take(message: WatchMessage): void {
    this.messages.push(message);
    if (message.event.kind === "update")
      for (const presence of message.event.presences) this.state.set(presence.userId, presence);
    if (message.event.kind === "userDeleted") this.deleted.push(message.event.userId);
  }
}

export const ids = (users: readonly string[]) => users.map((value) => ({ by: "id", value }) as const);

/** Ends the LISTEN connections of all processes. */
export const killListeners = (db: Database) =>
  db.pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()",
    [LISTENER_NAME],
  );

/** Waits until a condition holds; fails where it does not within the test's own time. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5);
}

export const MS = 1_000;
