import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../clock.ts";

import type { Masters } from "./masters.ts";
import { RedisConnection } from "./redis-connection.ts";
import type { Script } from "./scripts.ts";
import { readRedirection } from "./slot-owners.ts";

/** How often a command follows a cluster that moves tags about. */
const MOST_TRIES = 6;
const TRY_AGAIN_MS = 20;

/** Runs a command whose keys are all of one tag, at the server that has it. Rejects with what went wrong in the end. */
export async function runCommand(masters: Masters, tag: number, args: readonly string[]): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    const link = masters.linkOf(tag);
    if (!link) throw new Error("the Redis server that has the key is not connected");
    try {
      return await link.commands.send(args);
    } catch (error) {
      const message = error instanceof Error ? error.message : "";
      if (message.startsWith("ASK ")) return await ask(masters, tag, message, args);
      // A server that has become a replica is reached anew: its name may lead to another one by then.
      if (message.startsWith("READONLY ")) masters.drop(link, error);
      if (tries === MOST_TRIES || !(await mayHelp(masters, message))) throw error;
    }
  }
}

/** Runs a script with one key. */
export async function runScript(
  masters: Masters,
  tag: number,
  script: Script,
  key: string,
  ...args: readonly string[]
): Promise<unknown> {
  try {
    return await runCommand(masters, tag, ["EVALSHA", script.sha1, "1", key, ...args]);
  } catch (error) {
    // A server that began anew does not know it; by its text it learns it.
    if (!(error instanceof Error && error.message.startsWith("NOSCRIPT "))) throw error;
    return await runCommand(masters, tag, ["EVAL", script.text, "1", key, ...args]);
  }
}

async function mayHelp(masters: Masters, message: string): Promise<boolean> {
  if (message.startsWith("MOVED ")) await masters.look();
  else if (message.startsWith("TRYAGAIN ")) await sleep(TRY_AGAIN_MS);
  else return false;
  return true;
}

/** While a slot is on its way, those of its keys that have arrived are asked for by a connection of their own: it is not for long. */
async function ask(masters: Masters, tag: number, message: string, args: readonly string[]): Promise<unknown> {
  const asked = masters.addressOf(tag);
  if (!asked) throw new Error("no Redis server has the key");
  using connection = await RedisConnection.open(readRedirection(message, asked), systemClock, { onLost: () => {} });
  const [, answer] = await Promise.all([connection.send(["ASKING"]), connection.send(args)]);
  return answer;
}
