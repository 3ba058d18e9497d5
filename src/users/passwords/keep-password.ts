import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { keepPasswordSql } from "./password-statements.ts";

/** A password to keep. */
export interface NewPassword {
  readonly projectId: string;
  readonly userId: string;
  /** What `Passwords.hash` gave. */
  readonly phc: string;
  readonly time: Date;
}

const GIVEN = "(select ?::uuid as project_id, ?::uuid as user_id, ?::text as phc, ?::timestamptz as time) given";

/**
 * Gives a user a password in the transaction of `em`, whose caller holds the lock of the user's row. Gives the id of the password that it
 * takes the place of; undefined: the user had none. What was signed in by that one is for the caller to end.
 */
export async function keepPassword(
  em: SqlEntityManager,
  { projectId, userId, phc, time }: NewPassword,
): Promise<string | undefined> {
  const kept = keepPasswordSql({
    from: GIVEN,
    projectId: "given.project_id",
    userId: "given.user_id",
    phc: "given.phc",
    imported: "false",
    time: "given.time",
  });
  const before: { id: string }[] = await em.execute(
    `with kept as (${kept}) select id from passwords where project_id = ? and user_id = ?`,
    [projectId, userId, phc, time, projectId, userId],
  );
  return before[0]?.id;
}
