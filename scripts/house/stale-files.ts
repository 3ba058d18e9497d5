import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { referencePages } from "../reference/pages.ts";

const GENERATED_CODE = "src/gen";

/** The generated files that are not what `npm run generate` would make now. Changes nothing. */
export function staleFiles(): string[] {
  const folder = mkdtempSync(join(tmpdir(), "muster-generated-"));
  try {
    execFileSync("buf", ["generate", "-o", folder]);
    const paths = new Set([...filesIn("."), ...filesIn(folder)]);
    const code = [...paths].filter((path) => contentOf(path) !== contentOf(join(folder, path)));
    const pages = [...referencePages()].flatMap(([path, text]) => (contentOf(path) === text ? [] : [path]));
    return [...code, ...pages].sort();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const filesIn = (folder: string) => globSync(`${GENERATED_CODE}/**/*.ts`, { cwd: folder });
const contentOf = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);
