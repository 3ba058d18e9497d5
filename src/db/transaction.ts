import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Act } from "./act.ts";
import { storageError } from "./constraints.ts";
import type { Database } from "./orm.ts";
import { retryLostRaces } from "./retry.ts";

/** Whose data a piece of work may touch, and until when it is wanted. */
export interface Scope {
  /** The tenant. Every query of a project's entities is held to it; without one they cannot be queried. */
  readonly projectId?: string | undefined;
  /** Aborts when the caller leaves or its deadline passes: the running statement is then cancelled. */
  readonly signal?: AbortSignal | undefined;
  /** What is being done; who reads the project's history is told once it is. */
  readonly act?: Act | undefined;
}

/** Runs `work` as one transaction. It may run more than once, so it has no effects outside the database. */
export async function transaction<T>(
  db: Database,
  scope: Scope,
  work: (em: SqlEntityManager) => Promise<T>,
): Promise<T> {
  try {
    const done = await retryLostRaces(() =>
      entityManager(db, scope).transactional((em) => work(em as SqlEntityManager)),
    );
    if (scope.projectId !== undefined) scope.act?.committed(scope.projectId);
    return done;
  } catch (error) {
    throw storageError(error, scope.signal);
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
