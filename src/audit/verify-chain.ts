import type { RunStatement } from "../db/read-consistently.ts";
import type { Statement } from "../db/statement.ts";
import type { Findings } from "./findings.ts";
import { readBatch } from "./read-batch.ts";
import { chainOf, equalMacs, NO_CHAIN, type Place, pruneMacOf, SEAL_SQL, type Seal, START, sealOf } from "./seal.ts";
import type { SealKeys } from "./seal-keys.ts";

/** What a chain says once all of it is read. */
export interface ChainEnd {
  /** The last seal; undefined: there is none. */
  readonly head: Seal | undefined;
  /** The seal up to which entries were removed because their time was over. */
  readonly pruned: Seal | undefined;
  readonly seals: number;
  /** Entries that are sealed. */
  readonly entries: number;
  /** Seals that were made more than an hour after one of their entries. */
  readonly sealedLate: number;
}

/** A seal that was there at another time, and its chain. */
export interface KnownHead {
  readonly number: string;
  /** In hexadecimal. */
  readonly hash: string;
}

const SEALS_PAGE = 1_000;
const LATE_MICROSECONDS = 3_600_000_000n;

const NEXT_SEALS: Statement = {
  name: "audit_next_seals",
  text: `select ${SEAL_SQL} from audit_seals where project_id = $1 and number > $2::bigint order by audit_seals.number limit ${SEALS_PAGE}`,
};

/** Holds the seals of a project, and the entries in them, to what they were when they were sealed. */
export async function verifyChain(
  run: RunStatement,
  keys: SealKeys,
  projectId: string,
  known: readonly KnownHead[],
  findings: Findings,
): Promise<ChainEnd> {
  const link = createLink(keys, findings);
  let head: Seal | undefined;
  let pruned: Seal | undefined;
  let [seals, entries, sealedLate] = [0, 0, 0];
  for await (const seal of allSeals(run, projectId)) {
    const isFirst = head === undefined;
    seals++;
    compareKnown(seal, known, findings);
    const holds = link.follows(seal, isFirst);
    if (isFirst && seal.pruning && holds) pruned = seal;
    else {
      if (keys.has(seal.keyId)) await verifyBatch(run, keys, seal, head ?? START, findings);
      entries += seal.entries;
      if (BigInt(seal.sealTime) - BigInt(seal.firstTime) > LATE_MICROSECONDS) sealedLate++;
    }
    head = seal;
  }
  return { head, pruned, seals, entries, sealedLate };
}

async function* allSeals(run: RunStatement, projectId: string): AsyncGenerator<Seal> {
  for (let [after, rows] = ["-9223372036854775808", SEALS_PAGE]; rows === SEALS_PAGE; ) {
    const page = (await run(NEXT_SEALS, [projectId, after])).map(sealOf);
    yield* page;
    rows = page.length;
    after = page.at(-1)?.number ?? after;
  }
}

/** Says of one seal after the other whether it is where it was made, as it was made. */
function createLink(keys: SealKeys, findings: Findings) {
  let number = 0n;
  /** What the next seal may have been made upon: what the last one says, and what it should say. */
  let before: readonly Buffer[] = [NO_CHAIN];
  const changed = (seal: Seal, detail: string) =>
    findings.add({ kind: "seal_changed", seal: seal.number, time: seal.sealTime, detail });

  function holds(seal: Seal): boolean {
    const made = before.map((chain) => chainOf(keys, seal, chain));
    const hold = made.some((chain) => equalMacs(chain, seal.chain));
    if (!hold) changed(seal, "it is not what a server made there");
    before = hold ? [seal.chain] : [seal.chain, ...made];
    return hold;
  }

  return {
    follows(seal: Seal, isFirst: boolean): boolean {
      const gap = BigInt(seal.number) - number - 1n;
      number = BigInt(seal.number);
      if (isFirst && seal.pruning) {
        before = [seal.chain];
        return isPruned(keys, seal, findings);
      }
      if (seal.pruning)
        findings.add({ kind: "pruning_forged", seal: seal.number, detail: "there are seals before it" });
      if (gap !== 0n) {
        const detail = gap > 0n ? `${gap} seals before it are not there` : "its number is not one that is given";
        findings.add({ kind: "seal_missing", seal: seal.number, time: seal.sealTime, detail });
      }
      if (!keys.has(seal.keyId)) {
        const detail = `the encryption key ${JSON.stringify(seal.keyId)} is not configured`;
        findings.add({ kind: "key_unknown", seal: seal.number, time: seal.sealTime, detail });
      }
      if (gap === 0n && keys.has(seal.keyId)) return holds(seal);
      before = [seal.chain];
      return false;
    },
  };
}

function isPruned(keys: SealKeys, seal: Seal, findings: Findings): boolean {
  const { pruning } = seal;
  if (!pruning) return false;
  const isKnown = keys.has(pruning.keyId);
  if (isKnown && equalMacs(pruneMacOf(keys, seal, pruning), pruning.mac)) return true;
  const [kind, detail] = isKnown
    ? (["pruning_forged", "no server said that the entries up to it have been removed"] as const)
    : (["key_unknown", `the encryption key ${JSON.stringify(pruning.keyId)} is not configured`] as const);
  findings.add({ kind, seal: seal.number, time: pruning.time, detail });
  return false;
}

async function verifyBatch(
  run: RunStatement,
  keys: SealKeys,
  seal: Seal,
  { transactionId, sequence }: Place,
  findings: Findings,
): Promise<void> {
  const found = await readBatch(run, keys, seal, { transactionId, sequence }, seal);
  if (found.entries === seal.entries && equalMacs(found.digest, seal.digest)) return;
  findings.add({
    kind: "entries_changed",
    seal: seal.number,
    after: { transactionId, sequence },
    upTo: { transactionId: seal.transactionId, sequence: seal.sequence },
    time: seal.sealTime,
    detail:
      found.entries === seal.entries
        ? `its ${seal.entries} entries are not those that were sealed`
        : `${seal.entries} entries were sealed, ${found.entries} are there`,
  });
}

function compareKnown(seal: Seal, known: readonly KnownHead[], findings: Findings): void {
  const hash = seal.chain.toString("hex");
  for (const it of known)
    if (it.number === seal.number && it.hash !== hash)
      findings.add({
        kind: "head_changed",
        seal: seal.number,
        time: seal.sealTime,
        detail: `it was ${it.hash}, and is ${hash}`,
      });
}
