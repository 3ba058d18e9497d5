import pg from "pg";
import { connectionOptions, type DatabaseAddress } from "../../src/db/orm.ts";
import { answerParent, USAGE } from "./answer-parent.ts";
import { listen, serveFloor } from "./floor-server.ts";
import { type CallRow, loadRow } from "./row.ts";
import { createStreamFloor } from "./stream-floor.ts";

/** Which floor to serve. */
export interface FloorOptions {
  readonly rowUrl: string;
  readonly world: unknown;
  readonly database: DatabaseAddress;
}

/** Serves each case of a row that has a floor; gives their ports. */
async function start({ rowUrl, world, database }: FloorOptions): Promise<(number | undefined)[]> {
  const pool = new pg.Pool({ ...connectionOptions(database), max: 20 });
  const { cases } = (await loadRow(rowUrl)) as CallRow;
  return Promise.all(
    cases.map(async (it) => {
      if (!it.floor) return undefined;
      return listen(serveFloor(it.call(world, "floor").protocol, it.floor(world, { pool })));
    }),
  );
}

const streams = createStreamFloor();

answerParent({
  ...USAGE,
  start,
  startStreams: () => listen(streams.server),
  writeToAll: streams.writeToAll,
  importServer: () => import("../../src/server.ts").then(() => undefined),
});
