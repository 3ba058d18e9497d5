import { expect, test } from "vitest";
import { staleFiles } from "../../scripts/house/stale-files.ts";

test("the generated code and the reference pages are what the source makes now", () => {
  expect(staleFiles()).toEqual([]);
}, 60_000);
