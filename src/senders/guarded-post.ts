import { lookup } from "node:dns";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { hostWithPort } from "../setting-values.ts";

const TOTAL_MS = 10_000;
const MOST_ANSWER_BYTES = 65_536;

/**
 * Posts a body and gives the status of the answer. Only https to public unicast addresses, checked for IP literals and, for names, on
 * the addresses that are then connected to; `allowed` (`host:port`) may be private and plain http. Follows no redirect, takes 10 s and
 * 64 KiB at most, decompresses nothing. Throws Error.
 */
export function guardedPost(
  target: string,
  allowed: readonly string[],
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<number> {
  const url = new URL(target);
  const isAllowed = allowed.includes(hostWithPort(url));
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (!isAllowed && url.protocol !== "https:") throw new Error("only https may be called");
  if (!isAllowed && isIP(host) && !isPublic(host)) throw new Error("a private address may not be called");
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const signal = AbortSignal.timeout(TOTAL_MS);
  const options = {
    ...{ method: "POST", agent: false, signal, headers: { ...headers, "content-length": Buffer.byteLength(body) } },
    ...(!isAllowed && { lookup: publicLookup }),
  };
  const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, options, (answer) => {
    let size = 0;
    answer.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size > MOST_ANSWER_BYTES) answer.destroy(new Error("the answer is too long"));
    });
    answer.on("error", reject);
    answer.on("end", () => resolve(answer.statusCode ?? 0));
  });
  request.on("error", reject);
  request.end(body);
  return promise;
}

/** Resolves a name to public addresses, and fails if one of them is not. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, "");
    const [first] = addresses;
    if (!first || !addresses.every(({ address }) => isPublic(address)))
      return callback(new Error("a private address may not be called"), "");
    if (options.all) return callback(null, addresses);
    return callback(null, first.address, first.family);
  });
};

/** What the registries of RFC 6890 name as not globally reachable, and multicast. */
const NOT_PUBLIC_IPV4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const;
/** Inside of 2000::/3, the only global unicast there is: protocol assignments, documentation, 6to4. */
const NOT_PUBLIC_IPV6 = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const;

const notPublic = new BlockList();
for (const [net, prefix] of NOT_PUBLIC_IPV4) notPublic.addSubnet(net, prefix, "ipv4");
for (const [net, prefix] of NOT_PUBLIC_IPV6) notPublic.addSubnet(net, prefix, "ipv6");
const globalIpv6 = new BlockList();
globalIpv6.addSubnet("2000::", 3, "ipv6");

function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !notPublic.check(address, "ipv4");
  return globalIpv6.check(address, "ipv6") && !notPublic.check(address, "ipv6");
}
