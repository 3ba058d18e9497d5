import pg from "pg";
import { connectionOptions, type DatabaseAddress } from "../../src/db/orm.ts";
import { familyCpu, parentOf } from "./family-cpu.ts";

/** Gives the CPU that a Postgres of this machine has used so far, all its processes together, in microseconds. Linux only. */
export async function postgresCpu(address: DatabaseAddress): Promise<() => number> {
  const client = new pg.Client(connectionOptions(address));
  await client.connect();
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const postmaster = parentOf(rows[0]?.pid ?? 0) ?? 0;
  await client.end();
  return () => familyCpu(postmaster);
}
