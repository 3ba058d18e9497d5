/** Headers as Node's HTTP takes them: by names in lower case. */
export type NodeHeaders = Record<string, string | string[]>;

/** Headers of the Fetch Standard in the form of Node's. */
export function nodeHeaders(headers: Headers | undefined): NodeHeaders {
  const plain: NodeHeaders = {};
  let hasCookies = false;
  headers?.forEach((value, name) => {
    plain[name] = value;
    hasCookies ||= name === "set-cookie";
  });
  // The only one that is not joined into one line (RFC 6265 §3).
  if (headers && hasCookies) plain["set-cookie"] = headers.getSetCookie();
  return plain;
}
