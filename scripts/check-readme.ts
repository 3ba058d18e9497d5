import { execFileSync } from "node:child_process";
import { cpSync, lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { blocksOf } from "./readme/blocks.ts";
import { openSession } from "./readme/session.ts";

/** Does what the README says, from the top, in a fresh copy of what git would clone, and fails where it is not true. */
const port = await freePort();
const folder = mkdtempSync(join(tmpdir(), "muster-readme-"));
try {
  copyProject(folder);
  const page = readFileSync("README.md", "utf8").replaceAll(/(127\.0\.0\.1|localhost):8080/g, `$1:${port}`);
  await using session = openSession(folder, environment());
  for (const block of blocksOf(page)) {
    try {
      await session.perform(block);
    } catch (error) {
      throw new Error(`README.md, line ${block.line}: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      });
    }
    if (block.action !== "show")
      console.log(`README.md, line ${block.line}: ${block.action} ${block.language}: as it says`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** What a clone would hold if everything here were committed. */
function copyProject(target: string): void {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    encoding: "utf8",
  });
  for (const path of listed.split("\0").filter((it) => it !== "")) {
    // The commands of the README install and delete: a link must not lead them out of the copy.
    if (lstatSync(path).isSymbolicLink()) throw new Error(`${path} is a link: a clone of this is not by itself`);
    cpSync(path, join(target, path), { recursive: true });
  }
}

/** A reader's environment: not this project's programs, a port of its own, the Python that CI has prepared. */
function environment(): Record<string, string> {
  const python = process.env["MUSTER_TEST_PYTHON"];
  const path = (process.env["PATH"] ?? "").split(delimiter).filter((it) => !it.endsWith(join("node_modules", ".bin")));
  return {
    HOME: process.env["HOME"] ?? "/",
    PATH: [...(python === undefined ? [] : [resolve(python, "..")]), ...path].join(delimiter),
    MUSTER_PORT: String(port),
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return free;
}
