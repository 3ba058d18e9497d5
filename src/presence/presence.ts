import type { Clock } from "../clock.ts";
import type { Listener } from "../db/listener.ts";
import type { Database } from "../db/orm.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import { deletedAmong } from "../users/users.ts";
import { type BatchWriter, createBatchWriter } from "./batch-writer.ts";
import { PresenceCounter } from "./count-presence.ts";
import { endPresences } from "./end-presences.ts";
import type { PresenceEngine, Subject } from "./engine.ts";
import { Hub } from "./hub.ts";
import type { ProjectDefaults } from "./subjects.ts";
import { WatchExchange } from "./watch-exchange.ts";

export interface PresenceDeps {
  readonly db: Database;
  /** Where presences are kept; it is disposed with the presence. */
  readonly engine: PresenceEngine;
  /** Times real connections: made with the machine's clock, whatever `clock` is. */
  readonly listener: Listener;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  readonly projects: ProjectDefaults;
}

/** The presence of users, for the whole process: what its use cases stand on. */
export interface Presence extends AsyncDisposable {
  readonly db: Database;
  readonly clock: Clock;
  readonly projects: ProjectDefaults;
  readonly engine: PresenceEngine;
  readonly writer: BatchWriter;
  readonly hub: Hub;
  readonly watches: WatchExchange;
  readonly counter: PresenceCounter;
  /** Of these ids, those of users that were deleted. */
  deletedAmong(projectId: string, userIds: readonly string[]): Promise<ReadonlySet<string>>;
  /**
   * Tells those who watch a user, here and elsewhere, that it was deleted. To be called after that is committed.
   */
  announceDeletion(projectId: string, userId: string): void;
  /**
   * Ends what is in force for users, as if nothing had been set; watchers are told. Those that are not there are passed over.
   * @throws STORAGE_UNAVAILABLE, CONFLICT
   */
  end(subjects: readonly Subject[]): Promise<void>;
}

/** Presence on an engine. Dispose it before what the engine stands on. */
export function createPresence(deps: PresenceDeps): Presence {
  const { db, engine, clock, projects, logger } = deps;
  const writer = createBatchWriter(engine);
  const hub = new Hub(engine, clock, logger);
  const watches = new WatchExchange(deps);
  return {
    db,
    clock,
    projects,
    engine,
    writer,
    hub,
    watches,
    counter: new PresenceCounter(deps, clock),
    announceDeletion: (projectId, userId) => engine.announceDeletion({ projectId, userId }),
    deletedAmong: (projectId, userIds) => deletedAmong(db, { projectId }, userIds),
    end: (subjects) => endPresences(engine, subjects),
    async [Symbol.asyncDispose]() {
      hub[Symbol.dispose]();
      await watches[Symbol.asyncDispose]();
      await writer[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}
