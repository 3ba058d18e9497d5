/** A fenced block of code in a page, and what its info string says to do with it. */
export interface Block {
  readonly language: string;
  /** `run`: run to its end. `start`: run until Muster listens, and on. `file`: write it down. `show`: leave it. */
  readonly action: "run" | "start" | "file" | "show";
  /** The name to write it under, for `file`. */
  readonly file: string | undefined;
  readonly code: string;
  /** What its output must hold, line by line, in this order; `…` stands for anything. */
  readonly expected: readonly string[];
  /** The line of the page it begins at, from 1. */
  readonly line: number;
}

const PROGRAMS = ["sh", "bash", "ts", "js", "py", "python"];
const FENCE = /^```(\S+)?[ ]*(.*)\n([\s\S]*?)^```[ ]*$/gm;
const EXPECTED = /^\s*(?:#|\/\/) → (.*)$/gm;

/** The blocks of a page of Markdown, in order. Throws if one is in a language that can be run and does not say what to do with it. */
export function blocksOf(page: string): Block[] {
  return [...page.matchAll(FENCE)].map((match) => {
    const [, language = "", info = "", code = ""] = match;
    const line = page.slice(0, match.index).split("\n").length;
    const file = /^file=(\S+)$/.exec(info)?.[1];
    const action = file === undefined ? info : "file";
    const expected = [...code.matchAll(EXPECTED)].map((it) => it[1] ?? "");
    if (isAction(action)) return { language, action, file, code, expected, line };
    if (!PROGRAMS.includes(language)) return { language, action: "show", file, code, expected, line };
    throw new Error(`line ${line}: a block of ${language} says run, start, file=NAME or show`);
  });
}

const isAction = (text: string): text is Block["action"] => ["run", "start", "file", "show"].includes(text);

/** The first expected line that the output does not hold after those before it; undefined: it holds them all. */
export function firstMissing(expected: readonly string[], output: string): string | undefined {
  let rest = output.split("\n");
  return expected.find((line) => {
    const pattern = new RegExp(
      line
        .split("…")
        .map((part) => RegExp.escape(part.trim()))
        .join(".*"),
    );
    const at = rest.findIndex((printed) => pattern.test(printed));
    rest = rest.slice(at + 1);
    return at < 0;
  });
}
