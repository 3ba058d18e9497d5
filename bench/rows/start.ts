import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { median } from "../harness/median.ts";
import type { Figure, OwnRow } from "../harness/row.ts";

const MAIN = join(import.meta.dirname, "../../src/main.ts");

/** Seconds from the start of `muster serve` to the line that says where it listens. Ends it again. */
async function secondsToReady(dataDir: string): Promise<number> {
  const start = performance.now();
  const env = { PATH: process.env["PATH"], MUSTER_DATA_DIR: dataDir, MUSTER_PORT: "0" };
  const server = spawn(process.execPath, [MAIN, "serve", "--json"], { env, stdio: ["ignore", "pipe", "ignore"] });
  const exit = once(server, "exit");
  let seconds = Number.NaN;
  for await (const line of createInterface(server.stdout)) {
    if (!line.includes("listening")) continue;
    seconds = (performance.now() - start) / 1_000;
    break;
  }
  server.kill("SIGTERM");
  await exit;
  if (Number.isNaN(seconds)) throw new Error("the server ended before it listened");
  return seconds;
}

const figure = (name: string, seconds: readonly number[], atMost: number): Figure => ({
  name,
  unit: "s",
  subject: median(seconds),
  target: { atMost },
  beside: `${seconds.map((it) => it.toFixed(2)).join(", ")} s`,
});

export const row: OwnRow = {
  about: "From the start of `muster serve` with an embedded database to ready, on an empty and on a warm data folder",
  floor: "no floor",
  async measure({ rounds, folder }) {
    const empty: number[] = [];
    const warm: number[] = [];
    while (empty.length < rounds) {
      const dataDir = join(folder, `start-${empty.length}`);
      empty.push(await secondsToReady(dataDir));
      warm.push(await secondsToReady(dataDir));
      await rm(dataDir, { recursive: true, force: true });
    }
    return [figure("start, empty data folder", empty, 15), figure("start, warm data folder", warm, 4)];
  },
};
