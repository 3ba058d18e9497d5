import pg from "pg";
import { systemClock } from "../../src/clock.ts";
import { connectionOptions } from "../../src/db/orm.ts";
import { createIds } from "../../src/ids.ts";
import { UPSERT_USER } from "../../src/users/upsert-statements.ts";
import { FLOOR_DETAILS, floorAct } from "../harness/floor-act.ts";
import { median } from "../harness/median.ts";
import { postgresCpu } from "../harness/postgres-cpu.ts";
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
async function write(pool: pg.Pool, projectId: string, side: string, text: string, cpu: () => number): Promise<number> {
  const newId = createIds(systemClock);
  const act = text === WITH_HISTORY ? [FLOOR_DETAILS, floorAct("UserService/UpsertUser")] : [];
  const before = cpu();
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async (_, connection) => {
      for (let n = connection; n < WRITES; n += CONNECTIONS) {
        const user = { ...userNumber(n), email: `${side}.${n}@example.com` };
        const head = [projectId, BENCH_MASK, new Date(), newId(), `${side}-${n}`, newId()];
        const values = [...head, ...profileValues(user), [], ...act];
        await pool.query({ name: act.length > 0 ? "with" : "without", text, values });
      }
    }),
  );
  return (cpu() - before) / WRITES;
}

export const row: OwnRow = {
  about: "What the event and the audit entry add to the statement that makes a user, in CPU of the database",
  floor: "the same statement without them",
  async measure(bench) {
    if (/insert into (events|audit_entries)/.test(WITHOUT_HISTORY))
      throw new Error("the statement is another one by now");
    const muster = await bench.startMuster();
    const { projectId } = await bench.makeTenant(muster);
    const cpu = await postgresCpu(muster.options.database);
    const pool = new pg.Pool({ ...connectionOptions(muster.options.database), max: CONNECTIONS });
    const figures: Record<"subject" | "floor", number[]> = { subject: [], floor: [] };
    // The first round warms up.
    for (let round = 0; round <= bench.rounds; round++) {
      const floor = await write(pool, projectId, `floor${round}`, WITHOUT_HISTORY, cpu);
      const subject = await write(pool, projectId, `subject${round}`, WITH_HISTORY, cpu);
      if (round === 0) continue;
      figures.floor.push(floor);
      figures.subject.push(subject);
    }
    await pool.end();
    const [subject, floor] = [median(figures.subject), median(figures.floor)];
    const beside = `${(subject - floor).toFixed(0)} µs for the event and the audit entry of a new user`;
    return [{ name: "upsert statement with its history", unit: "µs CPU", subject, floor, beside }];
  },
};
