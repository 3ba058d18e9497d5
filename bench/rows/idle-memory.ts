import { setTimeout as sleep } from "node:timers/promises";
import { median } from "../harness/median.ts";
import type { OwnRow } from "../harness/row.ts";

export const row: OwnRow = {
  about: "Resident memory of a server that has started and does nothing",
  floor: "a bare Node that has imported the same modules",
  async measure(bench) {
    const subject: number[] = [];
    const floor: number[] = [];
    let first: Awaited<ReturnType<typeof bench.startMuster>> | undefined;
    while (subject.length < bench.rounds) {
      const bare = bench.start("floor-process.ts");
      await bare.ask("importServer");
      floor.push((await bare.ask<number>("memory")) / 1e6);
      await bare[Symbol.asyncDispose]();
      const muster = await bench.startMuster(first);
      first ??= muster;
      await sleep(300);
      subject.push((await muster.process.ask<number>("memory")) / 1e6);
      await muster.process[Symbol.asyncDispose]();
    }
    return [
      {
        name: "memory of an idle server",
        unit: "MB RSS",
        subject: median(subject),
        floor: median(floor),
        target: { ratioAtMost: 1.5 },
      },
    ];
  },
};
