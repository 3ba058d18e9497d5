import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { sealEntries } from "../../src/audit/seal-audit.ts";
import { createSealKeys } from "../../src/audit/seal-keys.ts";

const GUIDE = readFileSync(new URL("../../docs/audit.md", import.meta.url), "utf8");
const found = (pattern: RegExp) => pattern.exec(GUIDE)?.[1] ?? "";

test("the guide's entry, under its key, has the digest and the chain that the guide says", () => {
  const keys = createSealKeys([Buffer.from(found(/encryption key `([^`]+)`/), "base64")]);
  const entry = JSON.parse(found(/```json\n(\{\n[\s\S]*?\n\})\n```/));
  const now = Date.parse(found(/sealed first in its project at (\S+),/));
  const seal = sealEntries(keys, { projectId: entry.project_id, last: undefined, entries: [entry], now });
  expect(keys.current).toBe(found(/its id is `([^`]+)`/));
  expect(seal.digest.toString("hex")).toBe(found(/has the `digest` `([^`]+)`/));
  expect(seal.chain.toString("hex")).toBe(found(/the `chain` `([0-9a-f]{64})`/));
});
