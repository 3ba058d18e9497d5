import { expect, test } from "vitest";
import { ALL_RULES, type HubRules } from "../../../src/presence/hub-rules.ts";
import { runModel } from "./run-model.ts";

const RUNS = 300;

/** Runs seeds in turn until one of them finds a fault; gives it with its seed. */
async function firstFault(runs: number, without?: keyof HubRules) {
  for (let seed = 1; seed <= runs; seed++) {
    const faults = await runModel(seed, without);
    if (faults.length > 0) return { seed, faults };
  }
  return undefined;
}

test("whatever is lost, doubled, late, out of order or forgotten, no reader is stuck, goes back or misses a thing, wherever it is cut off", async () => {
  expect(await firstFault(RUNS)).toBeUndefined();
});

/** Each rule, and the runs within which the adversary is to find out that it is missing. */
const BUDGETS: Record<keyof HubRules, number> = {
  engineClock: 20,
  maxMerge: 20,
  subscribeFirst: 100,
  reconcile: 20,
  verifyOnFire: 20,
  rollback: 40,
};

test.each(Object.keys(ALL_RULES) as (keyof HubRules)[])("without the rule %s something goes wrong", async (rule) => {
  expect(await firstFault(BUDGETS[rule], rule)).toBeDefined();
});
