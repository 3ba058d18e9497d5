import { setTimeout as sleep } from "node:timers/promises";
import { storageError } from "../../db/constraints.ts";
import type { Listener } from "../../db/listener.ts";
import type { Notifier } from "../../db/notifier.ts";
import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import { MusterError } from "../../errors.ts";
import type { Logger } from "../../logger.ts";
import { readSteps, spanOf } from "../chain.ts";
import {
  type Change,
  type EngineObserver,
  keyOf,
  type Outcome,
  type PresenceEngine,
  type Reading,
  type Subject,
  type Written,
} from "../engine.ts";
import { readNotes, writeHint } from "./note.ts";
import { countByStatus, scanPage } from "./scan-page.ts";
import { CHANNEL, CLUSTER_STATEMENT, GET_STATEMENT, SET_STATEMENT } from "./statements.ts";

export interface PostgresEngineDeps {
  readonly db: Database;
  readonly listener: Listener;
  readonly notifier: Notifier;
  readonly logger: Logger;
}

interface SetRow {
  project_id: string;
  user_id: string;
  user_exists: boolean;
  is_suspended: boolean | null;
  external_id: string;
  last_active_time: Date | null;
  rev: number | null;
  set_at: number;
  since: number;
  now: number;
}

interface GetRow {
  external_id: string | null;
  last_active_time: Date | null;
  rev: number | null;
  set_at: number;
  since: number;
  chain: string;
  now: number;
  timeline: string;
}

/** How often a batch that lost against another transaction is run again. */
const RETRIES = 4;

/** Presences in Postgres: its clock, its rows, its NOTIFY. A reconnect of the listener is a new generation. */
export function createPostgresEngine({ db, listener, notifier, logger }: PostgresEngineDeps): PresenceEngine {
  const subscribed = new Set<string>();
  let observer: EngineObserver | undefined;
  let generation = 1;
  let listening: Promise<Disposable> | undefined;
  /** Which cluster it is: asked anew after each gap. */
  let cluster: string | undefined;

  function deliver(payload: string): void {
    try {
      for (const { subject, record } of readNotes(payload, (key) => subscribed.has(key)))
        observer?.onChange(subject, record);
    } catch (error) {
      logger.warn({ err: error }, "a notification about presences cannot be read");
    }
  }

  const subscriber = {
    onNotification: deliver,
    onLost: () => {
      cluster = undefined;
      observer?.onGap();
    },
    onGap: () => observer?.onGeneration(++generation),
  };

  return {
    set: (changes) => setWithRetries(db, changes),
    async get(subjects, signal) {
      const startedIn = generation;
      const id = cluster ?? (await readCluster(db));
      const rows = await query<GetRow>(db.pool, GET_STATEMENT, columnsOf(subjects), signal);
      if (startedIn === generation) cluster = id;
      return readingOf(rows, startedIn, id);
    },
    scan: (projectId, after, limit, signal) => scanPage(db, projectId, after, limit, signal),
    count: (projectId) => countByStatus(db, projectId),
    async subscribe(subjects) {
      for (const subject of subjects) subscribed.add(keyOf(subject));
      listening ??= listener.listen(CHANNEL, subscriber);
      await listening;
    },
    unsubscribe(subjects) {
      for (const subject of subjects) subscribed.delete(keyOf(subject));
    },
    observe(next) {
      observer = next;
    },
    announceDeletion: (subject) => notifier.notify(CHANNEL, writeHint(subject)),
    async [Symbol.asyncDispose]() {
      observer = undefined;
      // While the database is away, the listener's acknowledgement may never come: nothing waits for it.
      void listening?.then((subscription) => subscription[Symbol.dispose]());
    },
  };
}

/** A batch fails as a whole where a user is deleted between its look at the user and its row: then it looks again. */
async function setWithRetries(db: Database, changes: readonly Change[]): Promise<Written> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await set(db, changes);
    } catch (error) {
      const known = storageError(error);
      const again = known instanceof MusterError && ["USER_NOT_FOUND", "CONFLICT"].includes(known.reason);
      if (!again || attempt === RETRIES) throw known;
      await sleep(2 ** attempt);
    }
  }
}

async function set(db: Database, changes: readonly Change[]): Promise<Written> {
  const subjects = changes.map(({ subject }) => subject);
  const chains = changes.map(({ chain }) => chain.text);
  const spans = changes.map(({ chain }) => chain.steps[0]?.ttl ?? null);
  const wholes = changes.map(({ chain }) => spanOf(chain.steps) ?? null);
  const rows = await query<SetRow>(db.pool, SET_STATEMENT, [...columnsOf(subjects), chains, spans, wholes]);
  const rowOf = new Map(rows.map((row) => [keyOf({ projectId: row.project_id, userId: row.user_id }), row]));
  return {
    now: rows[0]?.now ?? 0,
    outcomes: changes.map((change) => outcomeOf(change, rowOf.get(keyOf(change.subject)))),
  };
}

function outcomeOf({ chain }: Change, row: SetRow | undefined): Outcome {
  if (!row?.user_exists) return "no such user";
  if (row.is_suspended) return "suspended";
  if (row.rev === null) return "busy";
  return {
    externalId: row.external_id,
    lastActiveAt: row.last_active_time?.getTime(),
    record: { revision: row.rev, setAt: row.set_at, since: row.since, steps: chain.steps },
  };
}

/** What names the cluster; empty where the role is not let know. */
async function readCluster(db: Database): Promise<string> {
  try {
    const [row] = await query<{ id: string }>(db.pool, CLUSTER_STATEMENT, []);
    return row?.id ?? "";
  } catch (error) {
    if (error instanceof MusterError) throw error;
    return "";
  }
}

function readingOf(rows: readonly GetRow[], generation: number, cluster: string): Reading {
  return {
    now: rows[0]?.now ?? 0,
    generation,
    identity: `${cluster}/${rows[0]?.timeline}`,
    users: rows.map(
      (row) =>
        (row.external_id !== null && {
          externalId: row.external_id,
          lastActiveAt: row.last_active_time?.getTime(),
          record:
            row.rev === null
              ? undefined
              : { revision: row.rev, setAt: row.set_at, since: row.since, steps: readSteps(row.chain) },
        }) ||
        undefined,
    ),
  };
}

const columnsOf = (subjects: readonly Subject[]): [string[], string[]] => [
  subjects.map(({ projectId }) => projectId),
  subjects.map(({ userId }) => userId),
];
