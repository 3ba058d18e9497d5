import { isIP } from "node:net";

/** Parsers of single settings. Each throws an Error whose message continues "NAME …" and repeats nothing of the value. */

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A whole number from `min` to `max`. */
export const integer =
  (min: number, max: number) =>
  (text: string): number => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new Error(`must be a whole number from ${min} to ${max}`);
    return value;
  };

/** A number of processes, or `auto`. */
export function workers(text: string): number | "auto" {
  return text === "auto" ? text : integer(1, 256)(text);
}

/** A span such as `250ms`, `30s`, `5m` or `2h`, in milliseconds; both bounds are spans as well. */
export const duration =
  (min: string, max: string) =>
  (text: string): number => {
    const value = milliseconds(text);
    if (!(value >= milliseconds(min) && value <= milliseconds(max)))
      throw new Error(`must be a span from ${min} to ${max}, such as 250ms, 30s, 5m or 2h`);
    return value;
  };

function milliseconds(text: string): number {
  const [, count, unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  return Number(count) * (UNIT_MS[unit] ?? Number.NaN);
}

/** One of a few words. */
export const oneOf =
  <T extends string>(words: readonly T[]) =>
  (text: string): T => {
    const found = words.find((word) => word === text);
    if (found === undefined) throw new Error(`must be one of ${words.join(", ")}`);
    return found;
  };

/** `on` or `off`. */
export const onOff = (text: string): boolean => oneOf(["on", "off"])(text) === "on";

/** Any text without control characters. */
export function plainText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
  if (/[\x00-\x1f\x7f]/.test(text)) throw new Error("must not hold control characters");
  return text;
}

/** A host name or an IP address to listen on. */
export function host(text: string): string {
  if (!isIP(text) && !/^(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/i.test(text))
    throw new Error("must be a host name or an IP address, without a port");
  return text;
}

/** An http or https URL, without a slash at its end, credentials, query and fragment. */
export function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && !url.username && !url.password && !text.includes("?") && !text.includes("#");
  if (!plain || !/^https?:$/.test(url.protocol)) throw new Error("must be an http or https URL without query");
  return url.href.replace(/\/+$/, "");
}

/** The name of a bucket, as Amazon S3 names them. */
export function bucketName(text: string): string {
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text))
    throw new Error("must be a bucket's name: 3 to 63 characters of a-z, 0-9, . and -");
  return text;
}

/** What the keys of objects begin with: no step of it begins with a dot, so that none leads back. */
export function objectPrefix(text: string): string {
  if (text.length > 200 || !/^([\w-][\w.-]*\/)*([\w-][\w.-]*)?$/.test(text))
    throw new Error("must be up to 200 characters of A-Z, a-z, 0-9, / _ . and -, without empty steps and hidden ones");
  return text;
}

/** IP addresses and CIDR ranges, separated by commas. */
export function ipRanges(text: string): string[] {
  return text.split(",").map((entry) => {
    const [address = "", bits, ...rest] = entry.trim().split("/");
    const width = isIP(address) === 4 ? 32 : isIP(address) === 6 ? 128 : -1;
    if (rest.length > 0 || width < 0 || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= width)))
      throw new Error("must be IP addresses and CIDR ranges, separated by commas");
    return entry.trim();
  });
}

/** `on`, `off`, or what every rate limit is multiplied with: 1, 0, or a number between. */
export function rateFactor(text: string): number {
  if (text === "on") return 1;
  if (text === "off") return 0;
  const value = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (!(value > 0 && value <= 1_000)) throw new Error("must be on, off, or a factor over 0, up to 1000");
  return value;
}

/** What an operator key starts with. */
export const OPERATOR_KEY_PREFIX = "mop_";

/** A key nobody guesses: 192 bits take 32 characters; few different characters were typed, not drawn. */
export function operatorKey(text: string): string {
  if (!/^mop_[A-Za-z0-9_-]{32,200}$/.test(text) || new Set(text.slice(OPERATOR_KEY_PREFIX.length)).size < 12)
    throw new Error("must be mop_ followed by 32 to 200 random characters of A-Z, a-z, 0-9, _ and -");
  return text;
}

/** The credential of a project's access key. */
export function accessKey(text: string): string {
  if (!/^msk_[0-9a-f-]{36}_[A-Za-z0-9_-]{43}$/.test(text)) throw new Error("must be an access key, msk_…");
  return text;
}

/** Base64 keys of 32 bytes, separated by commas: at most 10, all different. */
export function encryptionKeys(text: string): Buffer[] {
  const keys = text.split(",").map((entry) => {
    const key = Buffer.from(entry.trim(), "base64");
    const exact = key.toString("base64").replaceAll("=", "") === entry.trim().replaceAll("=", "");
    if (!exact || key.length !== 32 || new Set(key).size < 12)
      throw new Error("must be keys of 32 random bytes in base64, separated by commas");
    return key;
  });
  if (keys.length > 10) throw new Error("must be at most 10 keys");
  if (new Set(keys.map((key) => key.toString("base64"))).size < keys.length)
    throw new Error("must not name a key twice");
  return keys;
}

/** Where mail is handed over. */
export interface SmtpAddress {
  readonly host: string;
  readonly port: number;
  /** Speaks TLS from the first byte; otherwise STARTTLS where the server offers it, and always before a password. */
  readonly tls: boolean;
  readonly user?: string;
  readonly password?: string;
}

/** `smtp://` or `smtps://`, with or without `user:password@`. */
export function smtpUrl(text: string): SmtpAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url && /^smtps?:$/.test(url.protocol) && url.hostname && /^\/?$/.test(url.pathname);
  if (!plain || url.search || url.hash || Boolean(url.username) !== Boolean(url.password))
    throw new Error("must be a URL such as smtp://user:password@host:587, or smtps://…");
  const tls = url.protocol === "smtps:";
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || (tls ? 465 : 587)),
    tls,
    ...(url.username && { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) }),
  };
}

/** An email address in ASCII, without a name. */
export function emailAddress(text: string): string {
  if (!/^[\w.+-]{1,64}@[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/i.test(text))
    throw new Error("must be an email address, without a name");
  return text;
}

/** The secret of a webhook as Standard Webhooks writes it: `whsec_` and 24 to 64 bytes in base64. */
export function webhookSecret(text: string): Buffer {
  const encoded = /^whsec_([A-Za-z0-9+/]{32,88}={0,2})$/.exec(text)?.[1] ?? "";
  const secret = Buffer.from(encoded, "base64");
  if (secret.toString("base64") !== encoded || secret.length < 24 || secret.length > 64 || new Set(secret).size < 12)
    throw new Error("must be whsec_ followed by 24 to 64 random bytes in base64");
  return secret;
}

/** Hosts with their ports, `host:port`, separated by commas; IPv6 addresses in brackets. Each is spelt as a URL spells it. */
export function hostsWithPorts(text: string): string[] {
  return text.split(",").map((entry) => {
    const [, name = "", port] = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+):(\d{1,5})$/i.exec(entry.trim()) ?? [];
    const host = name && URL.parse(`https://${name}`)?.hostname;
    if (!host || Number(port) > 65_535) throw new Error("must be host:port, several separated by commas");
    return `${host}:${Number(port)}`;
  });
}

/** The host and port a URL names, as `hostsWithPorts` gives them. */
export const hostWithPort = ({ protocol, hostname, port }: URL): string =>
  `${hostname}:${port || (protocol === "https:" ? 443 : 80)}`;

/** A link with one place for a token, and maybe some for the project's id. */
export function resetLink(text: string): string {
  const link = text.replaceAll("{project_id}", "id").replace("{token}", "token");
  const isLink = URL.canParse(link) && /^https?:$/.test(new URL(link).protocol) && !/[{}\s]/.test(link);
  if (!isLink || !text.includes("{token}")) throw new Error("must be an http or https URL with {token} in it once");
  return text;
}

/** Where a Redis or Valkey listens, and who we are to it. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly user?: string;
  readonly password?: string;
  readonly database: number;
}

/** `redis://` or `rediss://` (TLS), with or without `user:password@`, `:port` and `/database`. */
export function redisUrl(text: string): RedisAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const database = /^\/?(\d{0,4})$/.exec(url?.pathname ?? "-")?.[1];
  const plain = url && /^rediss?:$/.test(url.protocol) && url.hostname && database !== undefined;
  const [user, password] = [unescaped(url?.username), unescaped(url?.password)];
  if (!plain || url.search || url.hash || user === undefined || password === undefined || (user && !password))
    throw new Error("must be a URL such as redis://user:password@host:6379/0, or rediss://…");
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: Number(url.port || 6_379),
    tls: url.protocol === "rediss:",
    ...(user && { user }),
    ...(password && { password }),
    database: Number(database),
  };
}

/** Some servers of one cluster, by which the others are found: all are reached in the same way. */
export function redisClusterUrls(text: string): RedisAddress[] {
  const addresses = text.split(",").map((entry) => redisUrl(entry.trim()));
  if (addresses.length > 50) throw new Error("must be at most 50 URLs");
  if (addresses.some(({ database }) => database !== 0)) throw new Error("must not name a database: a cluster has one");
  const ways = new Set(addresses.map(({ tls, user, password }) => JSON.stringify([tls, user, password])));
  if (ways.size > 1) throw new Error("must all have the same scheme, user and password");
  return addresses;
}

/** Undefined: what is escaped in it is not text. */
function unescaped(text = ""): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
