import { defineConfig } from "vitest/config";
import SummaryReporter from "./test/support/summary-reporter.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // What has to be installed first has a configuration of its own.
    exclude: ["test/clients/**", "test/redis/**"],
    globalSetup: "test/support/global-setup.ts",
    reporters: ["default", new SummaryReporter()],
    maxWorkers: 2,
    // A busy machine is slow and not wrong.
    testTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
  },
});
