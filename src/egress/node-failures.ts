import { EgressError } from "./egress.ts";

/** What Node calls the ways in which a certificate is refused or TLS cannot be agreed on. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|EPROTO$|CERT_|CRL_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH)|_CERT/;

/** And a header's name or value that would not stay one. */
const HEADER_CODE = /^ERR_(INVALID_CHAR|INVALID_HTTP_TOKEN|HTTP_INVALID_HEADER_VALUE)$/;

/** What a failure of Node's, while a request to `origin` was under way, is to callers. */
export function egressErrorOf(error: unknown, origin: string): EgressError {
  if (error instanceof EgressError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "HPE_HEADER_OVERFLOW") return new EgressError("TOO_LARGE", `${origin} answered with too long headers`);
  if (code.startsWith("HPE_")) return new EgressError("MALFORMED", `${origin} did not answer in HTTP (${code})`);
  if (TLS_CODE.test(code)) return new EgressError("TLS", `${origin} is not trusted (${code})`, error);
  if (HEADER_CODE.test(code)) return new EgressError("FORBIDDEN", `a header has ${code}`);
  return new EgressError("UNREACHABLE", `${origin} cannot be reached${code && ` (${code})`}`, error);
}
