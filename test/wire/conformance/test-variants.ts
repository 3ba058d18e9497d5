import { expect, test } from "vitest";
import { type Carrier, requestOf } from "./carriers.ts";
import type { Pair } from "./compare.ts";
import { VARIANTS } from "./variants.ts";

/** Declares a test of each variant of a request that the carrier can carry. */
export function testVariants(carrier: Carrier, pair: () => Pair): void {
  const cases = VARIANTS.filter((variant) => variant.draft(carrier));
  test.for(cases)("a request with $name is answered the same", async ({ draft, falls }) => {
    const made = draft(carrier);
    if (!made) return;
    const before = pair().taken;
    const answer = await pair().same(requestOf(made));
    expect(answer.status).toBeGreaterThan(0);
    expect(pair().taken - before).toBe(falls?.(carrier) ? 0 : 1);
  });
}
