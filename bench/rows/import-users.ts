import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Bench, Muster } from "../harness/bench.ts";
import type { Child } from "../harness/child.ts";
import type { ImportFloorOptions } from "../harness/import-floor-process.ts";
import { median } from "../harness/median.ts";
import { postgresCpu } from "../harness/postgres-cpu.ts";
import type { Figure, OwnRow } from "../harness/row.ts";
import type { Tenant } from "../harness/tenant.ts";

/** A line of the file that is imported. */
export interface ImportedUser {
  readonly external_id: string;
  readonly user: { readonly login: string; readonly name: string; readonly email: string; readonly metadata: object };
  readonly password_hash: string;
}

/** What a run took. */
interface Run {
  /** Users in a second. */
  readonly rate: number;
  /** Microseconds for a user: server, command and database together. */
  readonly cpu: number;
  readonly parts: string;
}

const MAIN = join(import.meta.dirname, "../../src/main.ts");
const COUNT = 40_000;
const base64 = (bytes: number) => randomBytes(bytes).toString("base64").replaceAll("=", "");

const usersOf = (side: string): ImportedUser[] =>
  Array.from({ length: COUNT }, (_, n) => ({
    external_id: `${side}-${n}`,
    user: {
      login: `${side}.${n}`,
      name: `User Number ${n}`,
      email: `${side}.${n}@example.com`,
      metadata: { plan: "free", seats: 5, source: side },
    },
    password_hash: `$argon2id$v=19$m=19456,t=2,p=1$${base64(16)}$${base64(32)}`,
  }));

/** The CPU of the command and of nothing else, in microseconds: it ends with it on standard error. */
const TELL_CPU = `data:text/javascript,${encodeURIComponent(
  "process.once('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write(String(user + system)); });",
)}`;

async function runImport(muster: Muster, tenant: Tenant, file: string): Promise<{ rate: number; cpu: number }> {
  const command = spawn(process.execPath, ["--import", TELL_CPU, MAIN, "user", "import", file, "--json"], {
    env: { PATH: process.env["PATH"], MUSTER_URL: muster.url, MUSTER_ACCESS_KEY: tenant.accessKey },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const [said, [code]] = await Promise.all([text(command.stderr), once(command, "exit")]);
  const [cpu = "", summary = "{}"] = said.trim().split("\n").toReversed();
  const { created, seconds } = JSON.parse(summary) as { created?: number; seconds: number };
  if (code !== 0 || created !== COUNT) throw new Error(`${created} of ${COUNT} users were made: ${said}`);
  return { rate: COUNT / seconds, cpu: Number(cpu) };
}

const perUser = (cpu: number) => cpu / COUNT;

/** What is measured in each round. */
interface Sides {
  readonly bench: Bench;
  readonly muster: Muster;
  readonly tenant: Tenant;
  readonly floor: Child;
  /** The CPU of the database so far, in microseconds. */
  readonly databaseCpu: () => number;
}

async function measureFloor({ muster, tenant, floor, databaseCpu }: Sides, round: number): Promise<Run> {
  const { database } = muster.options;
  const options: ImportFloorOptions = { database, projectId: tenant.projectId, users: usersOf(`floor${round}`) };
  const before = databaseCpu() + (await floor.ask<number>("cpu"));
  const milliseconds = await floor.ask<number>("write", options);
  const cpu = databaseCpu() + (await floor.ask<number>("cpu")) - before;
  return { rate: COUNT / (milliseconds / 1_000), cpu: perUser(cpu), parts: "" };
}

async function measureSubject({ bench, muster, tenant, databaseCpu }: Sides, round: number): Promise<Run> {
  const file = join(bench.folder, `import-${round}.jsonl`);
  await writeFile(
    file,
    usersOf(`subject${round}`)
      .map((user) => `${JSON.stringify(user)}\n`)
      .join(""),
  );
  const before = { database: databaseCpu(), server: await muster.process.ask<number>("cpu") };
  const { rate, cpu: command } = await runImport(muster, tenant, file);
  const server = (await muster.process.ask<number>("cpu")) - before.server;
  const database = databaseCpu() - before.database;
  const parts = Object.entries({ server, database, command }).map(
    ([name, cpu]) => `${name} ${perUser(cpu).toFixed(0)}`,
  );
  return { rate, cpu: perUser(server + database + command), parts: parts.join(", ") };
}

export const row: OwnRow = {
  about: "`muster user import` of users with login, name, email, metadata and an argon2 hash",
  floor: "the bare rows by multi-row INSERT from one process, into the same tables with their indexes and triggers",
  async measure(bench) {
    const muster = await bench.startMuster();
    const tenant = await bench.makeTenant(muster);
    const databaseCpu = await postgresCpu(muster.options.database);
    const sides: Sides = { bench, muster, tenant, floor: bench.start("import-floor-process.ts"), databaseCpu };
    const runs: Record<"subject" | "floor", Run[]> = { subject: [], floor: [] };
    // The first round warms up.
    for (let round = 0; round <= bench.rounds; round++) {
      const [floor, subject] = [await measureFloor(sides, round), await measureSubject(sides, round)];
      if (round === 0) continue;
      runs.floor.push(floor);
      runs.subject.push(subject);
    }
    return figuresOf(runs);
  },
};

function figuresOf(runs: Record<"subject" | "floor", Run[]>): Figure[] {
  const both = (figure: "rate" | "cpu") => ({
    subject: median(runs.subject.map((run) => run[figure])),
    floor: median(runs.floor.map((run) => run[figure])),
  });
  const rates = runs.subject.map(({ rate }) => rate.toFixed(0)).join(", ");
  const rate = { unit: "users/s", ...both("rate"), target: { atLeast: 5_000 }, beside: `${rates} users/s` };
  const cpu = { unit: "µs CPU", ...both("cpu"), target: { atMost: 330 }, beside: `${runs.subject.at(-1)?.parts} µs` };
  return [
    { name: "import-users, rate", ...rate },
    { name: "import-users, all CPU", ...cpu },
  ];
}
