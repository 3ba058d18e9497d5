import type { Reporter, TestModule } from "vitest/node";

/** Closes the run's output with `N passed, N failed, N skipped`, alone on the last line. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const count = { passed: 0, failed: errors.length, skipped: 0 };
    for (const module of modules) {
      const tests = [...module.children.allTests()];
      for (const test of tests)
        count[test.result().state === "pending" ? "skipped" : (test.result().state as keyof typeof count)]++;
      // A file that cannot be loaded has no tests to fail, and a hook after the tests fails none of them.
      if (module.state() === "failed" && !tests.some((test) => test.result().state === "failed")) count.failed++;
    }
    process.once("exit", (code) => {
      // A run that fails outside of any test, such as in its set-up, has failed all the same.
      if (code !== 0 && count.failed === 0) count.failed = 1;
      process.stdout.write(`\n${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped\n`);
    });
  }
}
