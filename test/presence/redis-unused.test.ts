import { expect, test } from "vitest";
import { runNode } from "../support/muster-process.ts";

const loads = async (module: string): Promise<boolean> => {
  const url = new URL(`../../src/${module}`, import.meta.url);
  const script = `
    await import(${JSON.stringify(url.href)});
    const { createRequire } = await import("node:module");
    const loaded = Object.keys(createRequire(${JSON.stringify(url.href)}).cache);
    console.log(loaded.some((path) => path.includes("/node_modules/@redis/")));`;
  const { stdout, stderr } = await runNode(["--input-type=module", "--eval", script]);
  if (stderr) throw new Error(stderr);
  return JSON.parse(stdout) as boolean;
};

test("a server that keeps presences in the database loads nothing of Redis", async () => {
  expect(await loads("server.ts")).toBe(false);
  expect(await loads("presence/redis/redis-engine.ts")).toBe(true);
});
