import { defineConfig } from "vitest/config";
import SummaryReporter from "../support/summary-reporter.ts";

/** Clients that have to be installed: Python's grpcio, Chromium, curl. `.ci/run` does that and runs these. */
export default defineConfig({
  test: {
    include: ["test/clients/*.test.ts"],
    reporters: ["default", new SummaryReporter()],
    // Each file starts a server of its own.
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
