import { describe, expect, test } from "vitest";
import { blocksOf, firstMissing } from "../../scripts/readme/blocks.ts";

const fence = "```";

describe("the README check", () => {
  test("finds the blocks of a page with what to do with them and what they print", () => {
    const page = `# A\n\n${fence}sh run\necho one # a\n# → one\n${fence}\n\n${fence}ts file=a.ts\nwork();\n// → …done\n${fence}\n${fence}json\n{}\n${fence}\n`;
    expect(blocksOf(page)).toEqual([
      { language: "sh", action: "run", file: undefined, code: "echo one # a\n# → one\n", expected: ["one"], line: 3 },
      { language: "ts", action: "file", file: "a.ts", code: "work();\n// → …done\n", expected: ["…done"], line: 8 },
      { language: "json", action: "show", file: undefined, code: "{}\n", expected: [], line: 12 },
    ]);
  });

  test("refuses a block that could be run and does not say whether to", () => {
    expect(() => blocksOf(`${fence}sh\necho\n${fence}\n`)).toThrow("line 1: a block of sh says run");
  });

  test("holds the output to the expected lines in their order", () => {
    expect(firstMissing(["one", "t…o", "{"], "zero\n one \ntwo\n{}")).toBe(undefined);
    expect(firstMissing(["two", "one"], "one\ntwo")).toBe("one");
    expect(firstMissing(["a.c"], "abc")).toBe("a.c");
  });
});
