import { readFileSync } from "node:fs";
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

/** Gives the CPU that the processes of Postgres behind these connections have used so far, in microseconds: without what it does in the background. Linux only. */
export async function backendsCpu(connections: readonly pg.ClientBase[]): Promise<() => number> {
  const answers = await Promise.all(
    connections.map((connection) => connection.query<{ pid: number }>("select pg_backend_pid() as pid")),
  );
  const pids = answers.map(({ rows }) => rows[0]?.pid ?? 0);
  return () => pids.reduce((sum, pid) => sum + nanosecondsOf(pid), 0) / 1_000;
}

/** What a process has run for. */
const nanosecondsOf = (pid: number): number => Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]);
