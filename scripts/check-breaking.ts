import { execFileSync, spawnSync } from "node:child_process";

/**
 * Holds the contract against the last release, or, while there is none, against the commit before: what clients were given
 * must go on working. Needs the history: on the first commit, or where it is cut off, there is nothing to hold against.
 */
const base = lastRelease() ?? parentCommit();
if (base === undefined) {
  console.log("No earlier contract to hold this one against");
} else {
  const { status } = spawnSync("buf", ["breaking", "--against", `.git#ref=${base}`], { stdio: "inherit" });
  console.log(status === 0 ? `The contract keeps the promises of ${base}` : `The contract breaks with ${base}`);
  process.exitCode = status ?? 1;
}

function lastRelease(): string | undefined {
  return git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*");
}

/** The commit before this one, if it has a contract already. */
function parentCommit(): string | undefined {
  const parent = git("rev-parse", "--verify", "--quiet", "HEAD~1");
  return parent !== undefined && git("ls-tree", "--name-only", parent, "buf.yaml") ? parent : undefined;
}

function git(...args: string[]): string | undefined {
  try {
    return execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim() || undefined;
  } catch {
    return undefined;
  }
}
