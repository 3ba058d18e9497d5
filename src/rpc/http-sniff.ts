import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";

export type Protocol = "tls" | "http2" | "http1";

/** The first bytes of the HTTP/2 preface that no HTTP/1.1 method begins with (RFC 9113 §3.4). */
const PREFACE = Buffer.from("PRI");
/** The record type of a TLS handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;

/**
 * Tells by its first bytes what a connection speaks, leaves them to be read again, and calls `route`. A connection that does
 * not say within `timeoutMs` is closed.
 */
export function sniff(socket: Socket, timeoutMs: number, clock: Clock, route: (protocol: Protocol) => void): void {
  const timer = clock.schedule(timeoutMs, () => socket.destroy());
  // Bytes are not pushed back before it is decided: they would come again at once, for ever.
  let head = Buffer.alloc(0);
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const protocol = protocolOf(head);
    if (!protocol) return;
    timer[Symbol.dispose]();
    socket.off("readable", onReadable);
    socket.unshift(head);
    route(protocol);
  };
  socket.on("error", () => socket.destroy());
  socket.once("close", () => timer[Symbol.dispose]());
  socket.on("readable", onReadable);
}

function protocolOf(head: Buffer): Protocol | undefined {
  if (head[0] === TLS_HANDSHAKE) return "tls";
  const seen = head.subarray(0, PREFACE.length);
  if (!seen.equals(PREFACE.subarray(0, seen.length))) return "http1";
  return seen.length === PREFACE.length ? "http2" : undefined;
}
