import { BlockList, isIP, isIPv4 } from "node:net";
import { createContextKey } from "@connectrpc/connect";

/** Where the call comes from, an IP address without a port; empty where there is no network. */
export const CLIENT_ADDRESS = createContextKey<string>("", { description: "client address" });

/** Tells a client's address from the peer's and from `x-forwarded-for`. */
export type ClientAddress = (peer: string | undefined, forwardedFor: string | readonly string[] | undefined) => string;

/**
 * `x-forwarded-for` is read from its end, and only as long as the one who wrote the entry is a trusted proxy: whatever a
 * client puts in front never counts.
 *
 * @param trustedProxies IP addresses and CIDR ranges. Throws for anything else.
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const trusted = blockList(trustedProxies);
  const isTrusted = (address: string) => trusted.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  return (peer, forwardedFor) => {
    let address = canonical(peer ?? "");
    if (!address) return "";
    const entries = [forwardedFor ?? []].flat().join(",").split(",");
    while (isTrusted(address)) {
      const before = canonical(entries.pop() ?? "");
      if (!before) break;
      address = before;
    }
    return address;
  };
}

function blockList(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", bits, ...rest] = range.trim().split("/");
    const family = isIP(address);
    const width = family === 4 ? 32 : 128;
    const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN;
    if (family === 0 || rest.length > 0 || !(prefix <= width))
      throw new RangeError("a trusted proxy is an IP address or a CIDR range");
    list.addSubnet(address, prefix, family === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

/** The address alone: without port, brackets and the prefix of an IPv4-mapped address; empty if it is none. */
function canonical(entry: string): string {
  const text = entry.trim();
  const bare = isIP(text) ? text : (/^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/:\d+$/, ""));
  const address = bare.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "").replace(/%.*$/, "");
  return isIP(address) ? address : "";
}
