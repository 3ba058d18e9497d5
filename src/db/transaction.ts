import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { isSerializationFailure, storageError } from "./constraints.ts";
import type { Database } from "./orm.ts";

/** Whose data a piece of work may touch, and until when it is wanted. */
export interface Scope {
  /** The tenant. Every query of a project's entities is held to it; without one they cannot be queried. */
  readonly projectId?: string | undefined;
  /** Aborts when the caller leaves or its deadline passes: the running statement is then cancelled. */
  readonly signal?: AbortSignal | undefined;
}

/** How often a transaction that lost against another one is run again. */
const RETRIES = 3;

/** Runs `work` as one transaction. It may run more than once, so it has no effects outside the database. */
export async function transaction<T>(
  db: Database,
  scope: Scope,
  work: (em: SqlEntityManager) => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await entityManager(db, scope).transactional((em) => work(em as SqlEntityManager));
    } catch (error) {
      if (attempt === RETRIES || !isSerializationFailure(error)) throw storageError(error, scope.signal);
      await sleep(randomInt(5, 25) * 2 ** attempt);
    }
  }
}

/** Runs reads, each in a transaction of its own. */
export async function read<T>(db: Database, scope: Scope, work: (em: SqlEntityManager) => Promise<T>): Promise<T> {
  try {
    return await work(entityManager(db, scope));
  } catch (error) {
    throw storageError(error, scope.signal);
  }
}

function entityManager(db: Database, { projectId, signal }: Scope): SqlEntityManager {
  signal?.throwIfAborted();
  const em = db.orm.em.fork(signal ? { signal, inflightQueryAbortStrategy: "cancel query" } : {});
  if (projectId !== undefined) em.setFilterParams("project", { projectId });
  return em as SqlEntityManager;
}
