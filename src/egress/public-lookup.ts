import { Resolver } from "node:dns/promises";
import { isIP, type LookupFunction } from "node:net";
import { EgressError } from "./egress.ts";
import { isPublicAddress } from "./public-address.ts";

/** All addresses of a host's name. Rejects if it has none. */
export type ResolveName = (hostname: string) => Promise<readonly string[]>;

/** With two tries, each server may take three times this long, in milliseconds. */
const DNS_TIMEOUT_MS = 1_500;

/**
 * Asks the name servers, the machine's unless others are given (`address:port`). Unlike the system's own resolution it holds no thread of the
 * pool that passwords are hashed and files read by: the servers of a name that somebody else chose may never answer.
 */
export function createNameResolver(servers?: readonly string[]): ResolveName {
  return async (hostname) => {
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 });
    if (servers) resolver.setServers(servers);
    const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)]);
    const addresses = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
    const [first] = answers;
    if (addresses.length === 0 && first.status === "rejected") throw first.reason;
    return addresses;
  };
}

/** What sockets are connected by: it fails unless every address of the name is public, and they connect to no other. */
export function createPublicLookup(resolve: ResolveName): LookupFunction {
  return (hostname, options, callback) => {
    void resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (!first) return callback(new Error(`${hostname} has no address`), "");
        if (!addresses.every(isPublicAddress))
          return callback(new EgressError("FORBIDDEN", `${hostname} has an address that is not public`), "");
        if (!options.all) return callback(null, first, isIP(first));
        return callback(
          null,
          addresses.map((address) => ({ address, family: isIP(address) })),
        );
      },
      (error: Error) => callback(error, ""),
    );
  };
}
