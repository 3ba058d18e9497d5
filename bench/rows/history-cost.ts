import pg from "pg";
import { systemClock } from "../../src/clock.ts";
import { connectionOptions } from "../../src/db/orm.ts";
import { createIds } from "../../src/ids.ts";
import { UPSERT_USER } from "../../src/users/upsert-statements.ts";
import { FLOOR_DETAILS, floorAct } from "../harness/floor-act.ts";
import { median } from "../harness/median.ts";
import { backendsCpu } from "../harness/postgres-cpu.ts";
import type { OwnRow } from "../harness/row.ts";
import { userNumber } from "../harness/tenant.ts";
import { BENCH_MASK, profileValues } from "../harness/user-floor.ts";

const { text: WITH_HISTORY } = UPSERT_USER.plain;
/** What appends to history stands before the last select but one, which gives what was written. */
const [HISTORY, RESULT] = [
  WITH_HISTORY.indexOf(", event as ("),
  WITH_HISTORY.lastIndexOf("\n    select ", WITH_HISTORY.lastIndexOf("union all")),
];
/** The id of the event is a parameter all the same. */
const WITHOUT_HISTORY = `${WITH_HISTORY.slice(0, HISTORY)}, unused as (select $6::uuid) ${WITH_HISTORY.slice(RESULT)}`;

const CONNECTIONS = 8;
const WRITES = 2_000;

/** Writes new users over the connections. Gives the CPU of the database for each, in microseconds. */
async function write(
  connections: readonly pg.Client[],
  projectId: string,
  side: string,
  text: string,
  cpu: () => number,
): Promise<number> {
  const newId = createIds(systemClock);
  const act = text === WITH_HISTORY ? [FLOOR_DETAILS, floorAct("UserService/UpsertUser")] : [];
  const before = cpu();
  await Promise.all(
    connections.map(async (connection, first) => {
      for (let n = first; n < WRITES; n += CONNECTIONS) {
        const user = { ...userNumber(n), email: `${side}.${n}@example.com` };
        const head = [projectId, BENCH_MASK, new Date(), newId(), `${side}-${n}`, newId()];
        const values = [...head, ...profileValues(user), [], ...act];
        await connection.query({ name: act.length > 0 ? "with" : "without", text, values });
      }
    }),
  );
  return (cpu() - before) / WRITES;
}

export const row: OwnRow = {
  about:
    "What the event and the audit entry add to the statement that makes a user, in CPU of the processes of the database that run it",
  floor: "the same statement without them",
  async measure(bench) {
    if (/insert into (events|audit_entries)/.test(WITHOUT_HISTORY))
      throw new Error("the statement is another one by now");
    const muster = await bench.startMuster();
    const { projectId } = await bench.makeTenant(muster);
    const { database } = muster.options;
    const connections = Array.from({ length: CONNECTIONS }, () => new pg.Client(connectionOptions(database)));
    await Promise.all(connections.map((connection) => connection.connect()));
    const cpu = await backendsCpu(connections);
    const figures: Record<"subject" | "floor", number[]> = { subject: [], floor: [] };
    // The first round warms up.
    for (let round = 0; round <= bench.rounds; round++) {
      const floor = await write(connections, projectId, `floor${round}`, WITHOUT_HISTORY, cpu);
      const subject = await write(connections, projectId, `subject${round}`, WITH_HISTORY, cpu);
      // Until its tables are analysed, the database plans as if they were empty.
      if (round === 0) await connections[0]?.query("analyze");
      if (round === 0) continue;
      figures.floor.push(floor);
      figures.subject.push(subject);
    }
    await Promise.all(connections.map((connection) => connection.end()));
    const [subject, floor] = [median(figures.subject), median(figures.floor)];
    const beside = `${(subject - floor).toFixed(0)} µs for the event and the audit entry of a new user`;
    return [{ name: "upsert statement with its history", unit: "µs CPU", subject, floor, beside }];
  },
};
