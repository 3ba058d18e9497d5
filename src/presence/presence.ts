import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import { type BatchWriter, createBatchWriter } from "./batch-writer.ts";
import type { PresenceEngine } from "./engine.ts";
import { Hub } from "./hub.ts";
import type { ProjectDefaults } from "./subjects.ts";

export interface PresenceDeps {
  readonly db: Database;
  /** Where presences are kept; it is disposed with the presence. */
  readonly engine: PresenceEngine;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly logger: Logger;
  readonly projects: ProjectDefaults;
}

/** The presence of users, for the whole process: what its use cases stand on. */
export interface Presence extends AsyncDisposable {
  readonly db: Database;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly projects: ProjectDefaults;
  readonly engine: PresenceEngine;
  readonly writer: BatchWriter;
  readonly hub: Hub;
  /**
   * Tells those who watch a user, here and elsewhere, that it was deleted. To be called after that is committed.
   */
  announceDeletion(projectId: string, userId: string): void;
}

/** Presence on an engine. Dispose it before what the engine stands on. */
export function createPresence({ db, engine, clock, newId, projects, logger }: PresenceDeps): Presence {
  const writer = createBatchWriter(engine);
  const hub = new Hub(engine, clock, logger);
  return {
    db,
    clock,
    newId,
    projects,
    engine,
    writer,
    hub,
    announceDeletion: (projectId, userId) => engine.announceDeletion({ projectId, userId }),
    async [Symbol.asyncDispose]() {
      hub[Symbol.dispose]();
      await writer[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}
