import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HOUSE_RULES } from "./rules.ts";

/** One line that breaks one rule. */
export interface HouseProblem {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly advice: string;
}

/** Holds the files (paths from `root`) against every rule of the house. */
export function checkFiles(root: string, paths: readonly string[]): HouseProblem[] {
  return paths.flatMap((path) => {
    const rules = HOUSE_RULES.filter((rule) => rule.covers(path));
    if (rules.length === 0) return [];
    const text = readFileSync(join(root, path), "utf8");
    return rules.flatMap(({ name, advice, broken }) =>
      broken(text, path).map((line) => ({ path, line, rule: name, advice })),
    );
  });
}
