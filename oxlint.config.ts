import { defineConfig } from "oxlint";
import { ROOMS, type Room } from "./scripts/house/boundaries.ts";

/** Refuses every import but those of the room's list. */
function boundary({ name, files, mayImport, typesOnly = [] }: Room) {
  const allowed = [...mayImport, ...typesOnly].map((it) => (it.startsWith("-") ? it.slice(1) : `!${it}`));
  const message = `${name} may not import this: scripts/house/boundaries.ts lists what it may.`;
  const paths = typesOnly.map((path) => ({
    name: path,
    allowTypeImports: true,
    message: `${name} takes only types of it.`,
  }));
  const patterns = [{ group: ["*", ...allowed], message }];
  return { files: [...files], rules: { "no-restricted-imports": ["error", { paths, patterns }] as const } };
}

const NO_PROCESS = [
  { name: "process", message: "Only main.ts touches the process." },
  { name: "setTimeout", message: "Take a Clock." },
  { name: "setInterval", message: "Take a Clock." },
  { name: "performance", message: "Take a Clock." },
];
const NO_CALLS_OUT = ["fetch", "WebSocket", "EventSource"].map((name) => ({ name, message: "Take an Egress." }));

/** What is handed in instead, so that tests can hold it still, and guards of what leaves the process are not passed by. */
const AMBIENT = {
  "no-console": "error",
  "no-restricted-globals": ["error", ...NO_PROCESS, ...NO_CALLS_OUT],
  "no-restricted-properties": [
    "error",
    { object: "Date", property: "now", message: "Take a Clock." },
    { object: "Math", property: "random", message: "Use node:crypto." },
  ],
} as const;

// oxlint reads a configuration from the default export and nowhere else.
export default defineConfig({
  plugins: ["typescript", "import", "unicorn", "vitest", "oxc"],
  categories: { correctness: "error" },
  options: { typeAware: true, denyWarnings: true, reportUnusedDisableDirectives: "error" },
  ignorePatterns: ["src/gen/**", "bench/results/**"],
  rules: {
    "max-lines": ["error", 300],
    "unicorn/filename-case": ["error", { case: "kebabCase" }],
    "import/no-default-export": "error",
    "import/no-cycle": "error",
    eqeqeq: "error",
    "no-var": "error",
    "prefer-const": "error",
    "typescript/no-explicit-any": "error",
    "typescript/no-non-null-assertion": "error",
    "typescript/consistent-type-imports": "error",
    "typescript/no-floating-promises": "error",
    "typescript/no-meaningless-void-operator": "off",
    "typescript/no-misused-promises": "error",
    // Errors of unknown shape are turned into text for the log.
    "typescript/no-base-to-string": "off",
    "typescript/restrict-template-expressions": "off",
    "typescript/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
    // What is made here is closures, which carry no `this`.
    "typescript/unbound-method": "off",
    // To refuse control characters one has to name them.
    "no-control-regex": "off",
    "unicorn/no-useless-spread": "off",
    "vitest/require-to-throw-message": "off",
    "vitest/valid-expect": ["error", { maxArgs: 2 }],
    "typescript/only-throw-error": ["error", { allowThrowingUnknown: true, allowRethrowing: true }],
    "vitest/no-disabled-tests": "error",
    "vitest/no-focused-tests": "error",
  },
  overrides: [
    { files: ["src/**"], rules: AMBIENT },
    // It runs in an app, and calls the server that the app names.
    { files: ["src/client/**"], rules: { "no-restricted-globals": ["error", ...NO_PROCESS] } },
    { files: ["src/clock.ts"], rules: { "no-restricted-globals": "off", "no-restricted-properties": "off" } },
    { files: ["src/main.ts"], rules: { "no-restricted-globals": "off" } },
    ...ROOMS.map(boundary),
    // An asynchronous callback that is handed to a server.
    {
      files: ["test/**", "bench/**"],
      rules: { "typescript/no-misused-promises": ["error", { checksVoidReturn: false }] },
    },
    {
      files: ["*.config.ts", "test/support/summary-reporter.ts", "test/support/global-setup.ts"],
      rules: { "import/no-default-export": "off" },
    },
  ],
});
