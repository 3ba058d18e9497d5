import type { DatabaseAddress } from "./orm.ts";

/** How a connection is secured, by the names of libpq. `require` encrypts without checking who answers. */
const SSL_MODES: Readonly<Record<string, DatabaseAddress["tls"]>> = {
  disable: undefined,
  require: { verify: false },
  "verify-full": { verify: true },
};

/**
 * Reads `postgres://user:password@host:port/database?sslmode=…`; the folder of a unix socket stands in `?host=/folder`.
 * Throws an Error that says what is wrong and repeats nothing of the URL.
 */
export function parseDatabaseUrl(text: string): DatabaseAddress {
  const match =
    /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?(\[[^\]/?#]+\]|[^:/?#[\]@]*)(?::(\d{1,5}))?(?:\/([^/?#]*))?(?:\?([^#]*))?$/.exec(
      text,
    );
  if (!match) throw new Error("must look like postgres://user:password@host:port/database");
  const [, user = "", password, urlHost = "", urlPort, database = "", search = ""] = match.map(
    (part) => part && decode(part),
  );
  const parameters = new URLSearchParams(search);
  for (const name of parameters.keys())
    if (!["host", "port", "sslmode"].includes(name))
      throw new Error("knows only the parameters host, port and sslmode");
  const host = parameters.get("host") || urlHost.replace(/^\[|\]$/g, "") || "localhost";
  const port = Number(parameters.get("port") || urlPort || 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Error("must have a port from 1 to 65535");
  if (!user) throw new Error("must name a user");
  if (!database) throw new Error("must name a database");
  const sslMode = parameters.get("sslmode") ?? "disable";
  if (!Object.hasOwn(SSL_MODES, sslMode)) throw new Error("must have sslmode disable, require or verify-full");
  const tls = SSL_MODES[sslMode];
  if (tls && host.startsWith("/")) throw new Error("cannot use TLS on a unix socket");
  return { host, port, user, database, ...(password !== undefined && { password }), ...(tls && { tls }) };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new Error("must have its special characters percent-encoded");
  }
}
