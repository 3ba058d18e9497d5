import type { RedisAddress } from "../../setting-values.ts";
import { slotOf, TAGS } from "./tags.ts";

/** The server that has each tag, by its place; undefined: none has it at the moment. */
export type Owners = readonly (RedisAddress | undefined)[];

/** One text for the place of a server: the key of maps. */
export const placeOf = ({ host, port }: Pick<RedisAddress, "host" | "port">): string => `${host}:${port}`;

/**
 * Reads the answer to CLUSTER SLOTS: `[from, to, [host, port, …], replica…]` for each range. A server that does not say its name
 * is reached as the one that was `asked`, as are the credentials of all.
 */
export function readOwners(answer: unknown, asked: RedisAddress): Owners {
  const ranges = (answer as [number, number, [string | null, number]][]).map(([from, to, [host, port]]) => ({
    from,
    to,
    address: host === "?" ? undefined : { ...asked, host: host || asked.host, port: Number(port) },
  }));
  return Array.from({ length: TAGS }, (_, tag) => {
    const slot = slotOf(tag);
    return ranges.find(({ from, to }) => from <= slot && slot <= to)?.address;
  });
}

/** Where a redirection leads, `MOVED slot host:port` and `ASK slot host:port` alike. */
export function readRedirection(message: string, asked: RedisAddress): RedisAddress {
  const [, , place = ""] = message.split(" ");
  const colon = place.lastIndexOf(":");
  return { ...asked, host: place.slice(0, colon) || asked.host, port: Number(place.slice(colon + 1)) };
}
