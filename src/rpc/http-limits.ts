/** What one connection, and all of them, may use. Times are in milliseconds. */
export interface HttpLimits {
  /** Connections at a time; those beyond are closed at once. */
  readonly maxConnections: number;
  /** Bytes of a request's header, target included. */
  readonly maxHeaderBytes: number;
  /** Streams at a time on one HTTP/2 connection. */
  readonly maxConcurrentStreams: number;
  /** From the connection's start until its protocol is known, TLS handshake and HTTP/2 preface included. */
  readonly prefaceTimeoutMs: number;
  /** From the first byte of an HTTP/1.1 request to the end of its header. */
  readonly headersTimeoutMs: number;
  /** From the first byte of an HTTP/1.1 request to the end of its body. */
  readonly requestTimeoutMs: number;
  /** How long a connection on which nothing is asked stays open. */
  readonly idleTimeoutMs: number;
  /** How often an HTTP/2 peer is pinged. */
  readonly pingIntervalMs: number;
  /** How long its answer may take before the connection is closed. */
  readonly pingTimeoutMs: number;
  /**
   * After this, give or take a tenth, a connection takes no new requests and its streams are ended, so that clients spread
   * over servers anew.
   */
  readonly maxAgeMs: number;
  /** How long what still goes on on an aged connection may take. */
  readonly ageGraceMs: number;
}

export const HTTP_LIMITS: HttpLimits = {
  maxConnections: 15_000,
  maxHeaderBytes: 16 * 1024,
  maxConcurrentStreams: 128,
  prefaceTimeoutMs: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  idleTimeoutMs: 300_000,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 20_000,
  maxAgeMs: 3_600_000,
  ageGraceMs: 300_000,
};
