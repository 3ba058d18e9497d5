import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkFiles } from "../../scripts/house/check-files.ts";
import { ACCEPTED_CODE, REFUSED_CODE, REFUSED_IMPORTS, SURROUNDINGS } from "./refused-code.ts";

const pathOf = (file: string | undefined, index: number) => `src/users/${file ?? `case-${index}.ts`}`;

const FILES: [path: string, code: string][] = [
  ...REFUSED_IMPORTS.map(([path, of]): [string, string] => [path, `import { a } from "${of}";\nexport const b = a;`]),
  ...REFUSED_CODE.map(([, , code, file], index): [string, string] => [pathOf(file, index), code]),
  ...ACCEPTED_CODE,
  ...SURROUNDINGS,
];

/** A tree of bad files under the project's own configuration. */
const root = mkdtempSync(join(tmpdir(), "muster-lint-"));
const reported = new Map<string, string[]>();
afterAll(() => rmSync(root, { recursive: true }));

beforeAll(async () => {
  for (const path of ["oxlint.config.ts", "scripts/house", "tsconfig.json", ".gitignore"])
    cpSync(path, join(root, path), { recursive: true });
  symlinkSync(resolve("node_modules"), join(root, "node_modules"));
  for (const [path, code] of FILES) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${code}\n`);
  }
  const paths = FILES.map(([path]) => path);
  const house = checkFiles(root, paths).map(({ path, rule }) => ({ filename: path, code: rule }));
  for (const { filename, code } of [...(await oxlint()), ...house])
    reported.set(filename, [...(reported.get(filename) ?? []), code.replace(/^.*\((.*)\)$/, "$1")]);
}, 60_000);

/** What oxlint says of the tree. It exits with 1, as there are problems. */
function oxlint(): Promise<{ filename: string; code: string }[]> {
  return new Promise((settle, fail) => {
    const options = { cwd: root, maxBuffer: 64e6 };
    execFile(resolve("node_modules/.bin/oxlint"), ["-f", "json"], options, (error, stdout) => {
      if (!stdout.startsWith("{")) fail(new Error(`oxlint said: ${stdout}`, { cause: error }));
      else settle((JSON.parse(stdout) as { diagnostics: { filename: string; code: string }[] }).diagnostics);
    });
  });
}

const reportsOf = (path: string) => reported.get(path) ?? [];

describe("the build refuses that", () => {
  test.each(REFUSED_IMPORTS)("%s imports %s", (path) => {
    expect(reportsOf(path)).toContain("no-restricted-imports");
  });

  test.each(REFUSED_CODE.map(([rule, what, , file], index) => ({ rule, what, path: pathOf(file, index) })))(
    "there is $what ($rule)",
    ({ rule, path }) => {
      expect(reportsOf(path)).toContain(rule);
    },
  );
});

test.each(ACCEPTED_CODE)("the build accepts %s", (path) => {
  expect(reportsOf(path)).toEqual([]);
});
