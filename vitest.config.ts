import { defineConfig } from "vitest/config";
import SummaryReporter from "./test/support/summary-reporter.ts";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Clients that have to be installed first have a configuration of their own.
    exclude: ["test/clients/**"],
    globalSetup: "test/support/global-setup.ts",
    reporters: ["default", new SummaryReporter()],
    maxWorkers: 2,
    // A busy machine is slow and not wrong.
    testTimeout: 60_000,
    expect: { poll: { timeout: 20_000 } },
    hookTimeout: 60_000,
  },
});
