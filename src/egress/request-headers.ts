import { EgressError } from "./egress.ts";

/** What frames a message or concerns the connection alone (RFC 9110 §7.6.1): a second opinion of it is how requests are smuggled. */
const OURS =
  /^(host|content-length|transfer-encoding|te|trailer|connection|keep-alive|upgrade|expect|accept-encoding|proxy-.*)$/i;

/** The headers of a request: the caller's, and that no content coding is taken. Throws FORBIDDEN. */
export function readHeaders(given: Readonly<Record<string, string>> = {}): Record<string, string> {
  const refused = Object.keys(given).find((name) => OURS.test(name));
  if (refused !== undefined) throw new EgressError("FORBIDDEN", "a header may not be set by whoever asks");
  const hasAgent = Object.keys(given).some((name) => name.toLowerCase() === "user-agent");
  return { ...(!hasAgent && { "user-agent": "muster" }), ...given, "accept-encoding": "identity" };
}
