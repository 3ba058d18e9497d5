import { answerParent } from "./answer-parent.ts";
import { type Connections, connect } from "./connections.ts";
import { type Call, type CallRow, loadRow, type Side } from "./row.ts";
import { runLoad, type Slice } from "./run-load.ts";

/** What is called, and how it is spread. */
export interface LoadTarget {
  readonly rowUrl: string;
  readonly world: unknown;
  readonly caseIndex: number;
  readonly side: Side;
  readonly port: number;
}

interface Target {
  readonly call: Call;
  readonly connections: Connections;
  calls: number;
}

const targets = new Map<Side, Target>();

/** Calls under way on one HTTP/2 connection, as far as there are connections for it. */
const PER_CONNECTION = 16;

async function aim({ rowUrl, world, caseIndex, side, port, concurrency }: LoadTarget & { concurrency: number }) {
  targets.get(side)?.connections.close();
  const row = (await loadRow(rowUrl)) as CallRow;
  const call = row.cases[caseIndex]?.call(world, side);
  if (!call) throw new Error("no such case");
  const perConnection = call.protocol === "connect-json-h1" ? 1 : PER_CONNECTION;
  const connections = await connect(call.protocol, port, Math.ceil(concurrency / perConnection));
  // Calls of one case go on counting where another concurrency ended.
  targets.set(side, { call, connections, calls: started(side, caseIndex) });
}

const counts = new Map<string, number>();
const started = (side: Side, caseIndex: number): number => counts.get(`${side} ${caseIndex}`) ?? 0;

async function run(slice: Slice & { side: Side; caseIndex: number }) {
  const target = targets.get(slice.side);
  if (!target) throw new Error("nothing to call");
  const result = await runLoad(target.connections, target.call, slice, () => target.calls++);
  counts.set(`${slice.side} ${slice.caseIndex}`, target.calls);
  return result;
}

/** The answer to one call. */
async function probe(side: Side): Promise<unknown> {
  const target = targets.get(side);
  if (!target) throw new Error("nothing to call");
  const answer = await target.connections.send(0, target.call, target.call.body(target.calls++));
  return target.call.read(answer);
}

answerParent({ aim, run, probe });
