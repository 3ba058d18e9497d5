import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem } from "node:os";

/** What a result depends on besides the code. */
export function surroundings() {
  return {
    time: new Date().toISOString(),
    commit: git("rev-parse", "HEAD"),
    changed: git("status", "--porcelain", "--", "src", "package-lock.json") !== "",
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    load: loadavg(),
    kernel: release(),
    node: process.version,
    v8: process.versions.v8,
    nghttp2: process.versions["nghttp2"],
    openssl: process.versions.openssl,
    packages: packages(),
  };
}

function git(...args: string[]): string | undefined {
  try {
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return undefined;
  }
}

function packages(): Record<string, string> {
  const file = new URL("../../package.json", import.meta.url);
  const { dependencies, optionalDependencies } = JSON.parse(readFileSync(file, "utf8")) as Record<
    string,
    Record<string, string>
  >;
  return { ...dependencies, ...optionalDependencies };
}
