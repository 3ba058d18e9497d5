import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** The bytes that this process holds on to, buffers included, after all garbage was collected. */
export function collectedMemory(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let pass = 0; pass < 3; pass++) collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
