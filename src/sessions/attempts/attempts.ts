import type { Database } from "../../db/orm.ts";
import { type AttemptKey, type AttemptLimit, createAttemptLimit } from "./attempt-limits.ts";

/** An attempt to prove who one is. */
export interface Attempt {
  readonly projectId: string;
  /** Whom it is for: an identifier in the form it is compared in, with its kind. Whether there is such a user does not count. */
  readonly identifier: readonly [kind: string, value: string];
  /** The prefix of the client's address; empty: not known, or that of a trusted server. */
  readonly prefix: string;
}

/** An attempt that may be made. One of the two says how it ended; neither does if it was not made after all. */
export interface AdmittedAttempt {
  succeeded(): Promise<void>;
  failed(): Promise<void>;
}

/** Keeps those who guess at bay: on every server, over restarts, and without shutting the owner out for good. */
export interface Attempts {
  /** Counts the attempt before it is made. RATE_LIMITED, with the time until the next one may be. */
  admit(attempt: Attempt): Promise<AdmittedAttempt>;
  /** Counts a sign-up or the making of a guest at an address. RATE_LIMITED. */
  admitNewUser(projectId: string, prefix: string, kind: "guest" | "user"): Promise<void>;
  /** Counts a mail that somebody asks for to be sent; false: no more of them for now. */
  admitMail(projectId: string, address: string, prefix: string): Promise<boolean>;
}

const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;

/** How long is waited after each row of failures: a minute, then twice as long each time, up to the most. */
const FIRST_WAIT_S = 60;

/** Wrong guesses of one user from one place; of one user from all places where it never signed in; at one place, of anyone. */
const GUESSES = [
  { name: "user-place", attempts: 5, mostWaitS: HOUR_S },
  { name: "user", attempts: 20, mostWaitS: HOUR_S / 4 },
  { name: "place", attempts: 50, mostWaitS: HOUR_S },
] as const;
/** For how long a place is known from which a user signed in, and when that is written anew. */
const KNOWN_S = 90 * DAY_S;
const RENEW_MS = 60 * DAY_S * 1_000;

/** `rateFactor` multiplies every allowance; 0: nothing is limited. */
export function createAttempts(db: Database, rateFactor: number): Attempts {
  if (rateFactor === 0) return UNLIMITED;
  const scaled = (attempts: number) => Math.max(1, Math.round(attempts * rateFactor));
  const limit = (name: string, attempts: number, seconds: number) =>
    createAttemptLimit(db, { name, attempts: scaled(attempts), seconds });
  const [userAtPlace, user, place] = GUESSES.map(({ name, attempts, mostWaitS }) => ({
    tries: limit(name, attempts, HOUR_S),
    rows: limit(`${name}-rows`, 1_000, DAY_S),
    mostWaitS,
  })) as [Guesses, Guesses, Guesses];
  const known = limit("known", 1_000, KNOWN_S);
  const newUsers = { guest: limit("guests", 100, HOUR_S), user: limit("sign-ups", 20, HOUR_S) };
  const mails = { address: limit("mails", 3, HOUR_S), place: limit("mails-place", 20, HOUR_S) };
  return {
    async admit({ projectId, identifier, prefix }) {
      const whom: AttemptKey = [projectId, ...identifier];
      const there: AttemptKey = [...whom, prefix];
      const counted: Counted[] = [];
      const take = async (guesses: Guesses, key: AttemptKey) => {
        try {
          counted.push([guesses, key, await guesses.tries.take(key)]);
        } catch (refusal) {
          // An attempt that is not made counts nowhere.
          await Promise.all(counted.map(([{ tries }, its]) => tries.giveBack(its)));
          throw refusal;
        }
      };
      await take(userAtPlace, there);
      const knownFor = prefix ? await known.left(there) : 0;
      // Strangers who guess elsewhere do not keep out one who comes from where it came from before.
      if (knownFor === 0) await take(user, whom);
      if (prefix) await take(place, [projectId, prefix]);
      return {
        async succeeded() {
          const [, ...others] = counted;
          await Promise.all([
            userAtPlace.tries.forget(there),
            userAtPlace.rows.forget(there),
            ...others.map(([{ tries }, key]) => tries.giveBack(key)),
            ...(prefix && knownFor < RENEW_MS ? [renew(known, there)] : []),
          ]);
        },
        failed: async () => void (await Promise.all(counted.map(waitAfterRow))),
      };
    },
    async admitNewUser(projectId, prefix, kind) {
      if (prefix) await newUsers[kind].take([projectId, prefix]);
    },
    async admitMail(projectId, address, prefix) {
      const counts = await Promise.all([
        mails.address.count([projectId, address]),
        prefix ? mails.place.count([projectId, prefix]) : 0,
      ]);
      return counts[0] <= scaled(3) && counts[1] <= scaled(20);
    },
  };
}

interface Guesses {
  readonly tries: AttemptLimit;
  /** How often all tries were used up within a day. */
  readonly rows: AttemptLimit;
  readonly mostWaitS: number;
}

type Counted = readonly [guesses: Guesses, key: AttemptKey, left: number];

/** The last of a row of failures is followed by a wait, which grows from row to row. */
async function waitAfterRow([{ tries, rows, mostWaitS }, key, left]: Counted): Promise<void> {
  if (left > 0) return;
  const row = await rows.count(key);
  await tries.block(key, Math.min(mostWaitS, FIRST_WAIT_S * 2 ** Math.min(row - 1, 20)));
}

async function renew(known: AttemptLimit, key: AttemptKey): Promise<void> {
  await known.forget(key);
  await known.count(key);
}

const UNLIMITED: Attempts = {
  admit: async () => ({ succeeded: async () => {}, failed: async () => {} }),
  admitNewUser: async () => {},
  admitMail: async () => true,
};
