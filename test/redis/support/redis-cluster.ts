import { setTimeout as sleep } from "node:timers/promises";
import { type RedisServer, startRedis } from "./redis-server.ts";

/** A cluster of three masters on loopback, each with a replica or without. */
export interface RedisCluster extends AsyncDisposable {
  readonly masters: readonly RedisServer[];
  /** One of each master, in their order. */
  readonly replicas: readonly RedisServer[];
  readonly target: { readonly kind: "cluster"; readonly seeds: RedisServer["address"][] };
  readonly urls: string;
}

const SLOTS = 16_384;
const SETTINGS = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0"];

export async function startRedisCluster({ replicated = false } = {}): Promise<RedisCluster> {
  const start = () => Promise.all([1, 2, 3].map(() => startRedis(...SETTINGS)));
  const [masters, replicas] = [await start(), replicated ? await start() : []];
  const all = [...masters, ...replicas];
  for (const [index, master] of masters.entries()) {
    const [from, to] = [index, index + 1].map((part) => Math.floor((SLOTS * part) / 3));
    await master.send("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    await master.send("CLUSTER", "ADDSLOTSRANGE", String(from), String(Number(to) - 1));
  }
  const [first] = masters;
  for (const server of all.slice(1)) await server.send("CLUSTER", "MEET", "127.0.0.1", String(first?.port));
  await agreed(all, (lines) => lines.length === all.length);
  for (const [index, replica] of replicas.entries())
    await replica.send("CLUSTER", "REPLICATE", String(await masters[index]?.send("CLUSTER", "MYID")));
  await agreed(all, (lines) => lines.filter((line) => / slave | myself,slave /.test(line)).length === replicas.length);
  for (const replica of replicas)
    await until(async () => /master_link_status:up/.test(String(await replica.send("INFO"))));
  return {
    masters,
    replicas,
    target: { kind: "cluster", seeds: masters.map(({ address }) => address) },
    urls: masters.map(({ url }) => url).join(","),
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((server) => server[Symbol.asyncDispose]()));
    },
  };
}

/** Waits until each server says that the cluster works, and of its members what the condition asks for. */
async function agreed(servers: readonly RedisServer[], condition: (lines: string[]) => boolean): Promise<void> {
  for (const server of servers)
    await until(async () => {
      const lines = String(await server.send("CLUSTER", "NODES"))
        .trim()
        .split("\n");
      return condition(lines) && /cluster_state:ok/.test(String(await server.send("CLUSTER", "INFO")));
    });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}
