import { longFunctions, longServiceMethods, SERVICE_METHOD_LINES } from "./function-lines.ts";

/** A rule of the house that oxlint cannot express. */
export interface HouseRule {
  readonly name: string;
  /** What to do instead. */
  readonly advice: string;
  /** Whether the rule is about the file at this path (from the project's folder, with `/`). */
  readonly covers: (path: string) => boolean;
  /** The lines that break it, from 1. */
  readonly broken: (text: string, path: string) => number[];
}

const inSource = (path: string) => path.startsWith("src/");

export const HOUSE_RULES: readonly HouseRule[] = [
  {
    name: "clock",
    advice: "Take a Clock: `new Date()` and `Date()` read the machine's.",
    covers: (path) => inSource(path) && path !== "src/clock.ts",
    broken: linesWith(/\bnew Date\(\s*\)|(?<!new )\bDate\(/),
  },
  {
    name: "environment",
    advice: "Only settings.ts and main.ts name environment variables; take a setting.",
    covers: (path) => inSource(path) && !["src/settings.ts", "src/main.ts"].includes(path),
    broken: linesWith(/["'.](MUSTER_[A-Z_]+|DATABASE_URL|REDIS_URL|SMTP_URL)\b/),
  },
  {
    name: "module state",
    advice: "No mutable state at a module's level: make it a field of something that is passed in.",
    covers: inSource,
    broken: linesWith(/^(export )?(let|var) /),
  },
  {
    name: "barrel",
    advice: "Import a thing from the file that defines it: no barrels.",
    covers: (path) => !path.startsWith("node_modules/"),
    broken: (text, path) => [...(path.endsWith("/index.ts") ? [1] : []), ...linesWith(/^export \*/)(text)],
  },
  {
    name: "drawer",
    advice: "Name a file for what it exports: no utils, helpers or common.",
    covers: (path) => /(^|[/.-])(utils?|helpers?|common|misc|shared)([/.-]|$)/.test(path),
    broken: () => [1],
  },
  {
    name: "ambient context",
    advice: "Pass the context as an argument: no AsyncLocalStorage.",
    covers: inSource,
    broken: linesWith(/\bAsyncLocalStorage\b/),
  },
  {
    name: "unfinished",
    advice: "Finish it or leave it out.",
    covers: (path) => path !== "scripts/house/rules.ts" && path !== "test/contract/refused-code.ts",
    broken: linesWith(/\b(TODO|FIXME|XXX|HACK)\b/),
  },
  {
    name: "doc comment",
    advice: "An exported function carries a doc comment: units, bounds, the reasons it raises.",
    covers: inSource,
    broken: undocumentedFunctions,
  },
  {
    name: "function length",
    advice: "A function has at most 40 lines, those of the functions inside it not counted.",
    covers: (path) => !path.startsWith("src/db/migrations/"),
    broken: longFunctions,
  },
  {
    name: "service method",
    advice: `A method of a service has at most ${SERVICE_METHOD_LINES} lines: message, use case, message.`,
    covers: (path) => inSource(path) && path.endsWith("-service.ts"),
    broken: longServiceMethods,
  },
];

function linesWith(pattern: RegExp): (text: string) => number[] {
  return (text) => text.split("\n").flatMap((line, index) => (pattern.test(line) ? [index + 1] : []));
}

function undocumentedFunctions(text: string): number[] {
  const lines = text.split("\n");
  return lines.flatMap((line, index) => {
    const isFunction =
      /^export (async )?function\b|^export const \w+(: [^=]+)? = (async )?(\([^)]*\)(: [^=]+)?|\w+) =>/.test(line);
    const overload = lines[index - 1]?.startsWith("export function");
    return isFunction && !overload && !lines[index - 1]?.endsWith("*/") ? [index + 1] : [];
  });
}
