import { defineConfig } from "vitest/config";
import SummaryReporter from "../support/summary-reporter.ts";

/** What needs a `redis-server`, of Redis 7 or newer, on the path. `.ci/run` installs it and runs these. */
export default defineConfig({
  test: {
    include: ["test/redis/*.test.ts"],
    globalSetup: "test/support/global-setup.ts",
    reporters: ["default", new SummaryReporter()],
    maxWorkers: 2,
    // A busy machine is slow and not wrong.
    testTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
  },
});
