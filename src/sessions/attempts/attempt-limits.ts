import { createHash } from "node:crypto";
import { RateLimiterPostgres, RateLimiterRes } from "rate-limiter-flexible";
import type { Database } from "../../db/orm.ts";
import { query } from "../../db/statement.ts";
import { MusterError } from "../../errors.ts";

/** What is counted under one name: for whom, so that equal counters of two projects are two. */
export type AttemptKey = readonly string[];

/** Counters that all servers share and that outlive them. Each call is one statement. STORAGE_UNAVAILABLE. */
export interface AttemptLimit {
  /** Counts an attempt before it is made: of any number at once no more pass than may. Gives how many are left; RATE_LIMITED. */
  take(key: AttemptKey): Promise<number>;
  /** Counts one without refusing it; gives how many there were. */
  count(key: AttemptKey): Promise<number>;
  /** Gives one back. */
  giveBack(key: AttemptKey): Promise<void>;
  /** Refuses all for so long, in seconds. */
  block(key: AttemptKey, seconds: number): Promise<void>;
  /** Starts anew. */
  forget(key: AttemptKey): Promise<void>;
  /** For how long the counter goes on, in milliseconds; 0: there is none. */
  left(key: AttemptKey): Promise<number>;
}

export interface LimitRule {
  /** What the counters are of; another name is another counter. */
  readonly name: string;
  /** Attempts in a span; the span begins with the first. */
  readonly attempts: number;
  readonly seconds: number;
}

/** Makes the limit of a rule, in the table `attempts`. */
export function createAttemptLimit(db: Database, { name, attempts, seconds }: LimitRule): AttemptLimit {
  const limiter = new RateLimiterPostgres({
    storeClient: { query: (statement: LibraryStatement) => run(db, statement) },
    storeType: "pool",
    tableName: "attempts",
    tableCreated: true,
    clearExpiredByTimeout: false,
    keyPrefix: name,
    points: attempts,
    duration: seconds,
  });
  return {
    async take(key) {
      try {
        return (await limiter.consume(digestOf(key))).remainingPoints;
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal;
        throw new MusterError("RATE_LIMITED", { retryAfterMs: Math.max(1, refusal.msBeforeNext) });
      }
    },
    count: async (key) => (await limiter.penalty(digestOf(key))).consumedPoints,
    giveBack: async (key) => void (await limiter.reward(digestOf(key))),
    block: async (key, forSeconds) => void (await limiter.block(digestOf(key), forSeconds)),
    forget: async (key) => void (await limiter.delete(digestOf(key))),
    left: async (key) => (await limiter.get(digestOf(key)))?.msBeforeNext ?? 0,
  };
}

interface LibraryStatement {
  readonly name?: string;
  readonly text: string;
  readonly values: unknown[];
}

/** Runs a statement of the library as one of ours: its failures get their reasons. */
async function run({ pool }: Database, { name, text, values }: LibraryStatement) {
  const rows = await query(pool, name ? { name, text } : { text }, values);
  return { rows, rowCount: rows.length };
}

/** A digest of a JSON array: no two keys give the same, and the table names nobody. */
const digestOf = (key: AttemptKey): string => createHash("sha256").update(JSON.stringify(key)).digest("base64url");
