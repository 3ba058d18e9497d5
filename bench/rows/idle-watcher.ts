import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "../harness/bench.ts";
import type { Child } from "../harness/child.ts";
import { median } from "../harness/median.ts";
import type { OwnRow } from "../harness/row.ts";

const STREAMS = 2_000;
/** Opened and closed before, so that code and buffers are there. */
const WARM_UP = 200;
const WATCHED = 1_000;

/** Kilobytes resident that each of many streams adds to a server. */
async function perStream(bench: Bench, server: Child, watch: object, lists: string[][]): Promise<number> {
  const watcher = bench.start("watcher-process.ts");
  await watcher.ask("watch", { ...watch, lists: lists.slice(0, WARM_UP) });
  await watcher.ask("leave");
  await sleep(200);
  const before = await server.ask<number>("memory");
  await watcher.ask("watch", { ...watch, lists });
  await sleep(500);
  const after = await server.ask<number>("memory");
  await watcher.ask("take");
  await watcher[Symbol.asyncDispose]();
  return (after - before) / STREAMS / 1_000;
}

export const row: OwnRow = {
  about: "Resident memory of an idle watcher of one user, 2,000 watchers on 20 connections",
  floor: "a raw http2 stream",
  async measure(bench) {
    const subject: number[] = [];
    const floor: number[] = [];
    const muster = await bench.startMuster();
    const { accessKey, makeUsers } = await bench.makeTenant(muster);
    const ids = (await makeUsers(WATCHED)).map(({ id }) => id);
    const lists = Array.from({ length: STREAMS }, (_, i) => [ids[i % WATCHED] ?? ""]);
    while (subject.length < bench.rounds) {
      // What a process once had it keeps: each round has new ones.
      const { process, port } = await bench.startMuster(muster);
      subject.push(await perStream(bench, process, { port, accessKey, minIntervalMs: 0 }, lists));
      await process[Symbol.asyncDispose]();
      const raw = bench.start("floor-process.ts");
      const silent = { port: await raw.ask<number>("startStreams"), accessKey, minIntervalMs: 0 };
      floor.push(
        await perStream(
          bench,
          raw,
          silent,
          lists.map(() => []),
        ),
      );
      await raw[Symbol.asyncDispose]();
    }
    const kilobytes = { subject: median(subject), floor: median(floor) };
    const inGiB = (each: number) => 2 ** 30 / (each * 1_000);
    const held = { subject: inGiB(kilobytes.subject), floor: inGiB(kilobytes.floor) };
    return [
      { name: "idle watcher", unit: "KB RSS", ...kilobytes, target: { atMost: 45 } },
      { name: "idle watchers per GiB", unit: "streams", ...held },
    ];
  },
};
