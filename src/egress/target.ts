import { isIP } from "node:net";
import { hostWithPort } from "../setting-values.ts";
import { EgressError } from "./egress.ts";
import { isPublicAddress } from "./public-address.ts";

/** Where a request goes. */
export interface Target {
  readonly url: URL;
  /** `host:port`. */
  readonly origin: string;
  /** Whether the allowlist names it, so that it may be private. */
  readonly isAllowed: boolean;
}

/** Reads a URL and says whether it may be called, as far as it can be said without resolving its name. Throws FORBIDDEN. */
export function readTarget(text: string | URL, allowed: ReadonlySet<string>): Target {
  const url = URL.parse(String(text));
  if (!url) throw new EgressError("FORBIDDEN", "the URL is not one");
  const origin = hostWithPort(url);
  const target = { url, origin, isAllowed: allowed.has(origin) };
  const fault = faultOf(target);
  if (fault) throw new EgressError("FORBIDDEN", `${origin} may not be called: ${fault}`);
  return target;
}

function faultOf({ url, isAllowed }: Target): string | undefined {
  if (url.username || url.password) return "its URL holds credentials";
  if (url.protocol !== "https:" && !(isAllowed && url.protocol === "http:")) return "its URL is not https";
  if (isAllowed) return undefined;
  // URL has brought every spelling of an IPv4 address into dotted decimals, so that no other text is connected to as an address.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host)) return isPublicAddress(host) ? undefined : "its address is not public";
  return /^[^.]*\.?$|\.localhost\.?$/.test(host) ? "its name is local" : undefined;
}
