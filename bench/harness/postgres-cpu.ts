import { readdirSync, readFileSync } from "node:fs";
import pg from "pg";
import { connectionOptions, type DatabaseAddress } from "../../src/db/orm.ts";

/** A clock tick of /proc, in microseconds: 100 a second, whatever the machine. */
const TICK = 10_000;

interface Usage {
  readonly parent: number;
  /** Ticks of the process itself. */
  readonly own: number;
  /** Ticks of its children that have ended. */
  readonly ended: number;
}

/** Gives the CPU that a Postgres of this machine has used so far, all its processes together, in microseconds. Linux only. */
export async function postgresCpu(address: DatabaseAddress): Promise<() => number> {
  const client = new pg.Client(connectionOptions(address));
  await client.connect();
  const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid");
  const postmaster = usageOf(rows[0]?.pid ?? 0)?.parent ?? 0;
  await client.end();
  return () => {
    const { own = 0, ended = 0 } = usageOf(postmaster) ?? {};
    const children = readdirSync("/proc").flatMap((pid) => usageOf(Number(pid)) ?? []);
    const running = children.filter(({ parent }) => parent === postmaster).reduce((sum, it) => sum + it.own, 0);
    return (own + ended + running) * TICK;
  };
}

function usageOf(pid: number): Usage | undefined {
  if (!Number.isInteger(pid)) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat
      .slice(stat.lastIndexOf(")") + 2)
      .split(" ")
      .map(Number);
    const [, parent = 0] = fields;
    const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11);
    return { parent, own: user + system, ended: endedUser + endedSystem };
  } catch {
    return undefined;
  }
}
