/** What is asked for. */
export interface EgressRequest {
  /** Default: GET. */
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Those that frame a message or concern the connection are the client's own. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal | undefined;
  /** For all of it, resolving the name included: default and most 10 s. */
  readonly timeoutMs?: number;
  /** The longest body that is taken. Default: 64 KiB. */
  readonly maxBytes?: number;
  /**
   * The body says nothing to the caller, and none is given: its coding and its length are no fault. It is still read to its end, or as far as
   * `maxBytes`, so that the connection can be used again.
   */
  readonly ignoreBody?: boolean;
}

/** A whole answer. */
export interface Answer {
  readonly status: number;
  /** By lower-case name; several of one name are joined by `, `. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** The one way by which HTTP leaves the process. Disposing of it closes its connections, those in use included. */
export interface Egress extends Disposable {
  /**
   * Makes one request and gives all of its answer, whatever its status: a redirect is not followed. Only https to public unicast
   * addresses, checked in the URL and, for a name, on what is connected to; a host and port of the allowlist may be private and plain
   * http. No content coding is taken, no cookie kept, no proxy used, no connection kept beyond its use for longer than a few seconds.
   * Throws EgressError, or the reason of the signal if that aborts.
   */
  request(url: string | URL, options?: EgressRequest): Promise<Answer>;
  /** Throws FORBIDDEN for a URL that is never called, as far as that is known without resolving its name. */
  check(url: string | URL): void;
}

/** How a request ended: answered with whatever status, given up by its signal, or failed. */
export type EgressOutcome = "ANSWERED" | "ABORTED" | EgressErrorKind;

/**
 * Why a request brought no answer:
 * - `FORBIDDEN`: it may not be made. The scheme, credentials in the URL, an address that is not public, a header that is not the caller's.
 * - `BUSY`: too many requests are under way to this host, or in all.
 * - `UNREACHABLE`: there is no such name, nothing listens, or the connection ended before the answer did.
 * - `TLS`: the certificate is not one of this host, or no common protocol was found.
 * - `TIMEOUT`: not all of the answer had come in time.
 * - `TOO_LARGE`: the answer's headers or its body are longer than allowed.
 * - `MALFORMED`: the answer is not HTTP, or in a content coding, of which none was asked for.
 */
export type EgressErrorKind = "FORBIDDEN" | "BUSY" | "UNREACHABLE" | "TLS" | "TIMEOUT" | "TOO_LARGE" | "MALFORMED";

/** A request brought no answer. The message names the host and the port at most: paths, queries and headers may hold secrets. */
export class EgressError extends Error {
  override readonly name = "EgressError";
  readonly kind: EgressErrorKind;

  constructor(kind: EgressErrorKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}
