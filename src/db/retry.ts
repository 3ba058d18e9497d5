import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { isSerializationFailure } from "./constraints.ts";

/** How often work that lost against another transaction is run again. */
const RETRIES = 3;

/** Runs `work` again, after a moment that grows and differs, while it fails because it lost against another transaction. */
export async function retryLostRaces<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === RETRIES || !isSerializationFailure(error)) throw error;
      await sleep(randomInt(5, 25) * 2 ** attempt);
    }
  }
}
