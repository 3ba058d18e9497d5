import pg from "pg";
import { onTestFinished } from "vitest";
import { connectionOptions, type DatabaseAddress } from "../../src/db/orm.ts";

/** The users of a project, held by a transaction of the test's own: a call that wants to change one waits. */
export interface HeldUsers {
  /** How many statements of servers wait for a lock in this database. */
  waiting(): Promise<number>;
  release(): Promise<void>;
}

/** Holds the users that a project has now, until they are released or the test ends. */
export async function holdUsers(address: DatabaseAddress, projectId: string): Promise<HeldUsers> {
  const holder = await connect(address);
  const observer = await connect(address);
  await holder.query("begin");
  await holder.query("select from users where project_id = $1 for update", [projectId]);
  const waiting = `select from pg_stat_activity
    where datname = current_database() and application_name = 'muster' and wait_event_type = 'Lock'`;
  return {
    waiting: async () => (await observer.query(waiting)).rowCount ?? 0,
    release: async () => void (await holder.query("rollback")),
  };
}

async function connect(address: DatabaseAddress): Promise<pg.Client> {
  const client = new pg.Client(connectionOptions(address));
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}
