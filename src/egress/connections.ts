import { type ClientRequest, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { LookupFunction } from "node:net";
import type { Duplex } from "node:stream";

/**
 * Per origin, at most 64 connections, of which 16 may be idle. An idle one is closed after 4 s, or a second before the time that the
 * server says it closes it: one that is used just when the server closes it costs a request.
 */
const POOL = {
  keepAlive: true,
  maxSockets: 64,
  maxFreeSockets: 16,
  timeout: 4_000,
  autoSelectFamily: true,
  autoSelectFamilyAttemptTimeout: 1_000,
  // Whatever the environment says.
  rejectUnauthorized: true,
} as const;

/** Idle connections to hosts that are not on the allowlist, of which there may be any number. */
const MOST_IDLE = 256;

/** Connects by a lookup that checks every address. A connection that is used again is one to an address that was checked. */
class GuardedAgent extends HttpsAgent {
  /** The longest idle one first. May still hold some that were closed. */
  readonly #idle = new Set<Duplex>();

  override keepSocketAlive(socket: Duplex): boolean {
    // Its types do not know what it answers.
    const isKept = super.keepSocketAlive(socket) as unknown as boolean;
    if (isKept) this.#idle.add(socket);
    const [oldest] = this.#idle;
    if (oldest && this.#idle.size > MOST_IDLE) {
      this.#idle.delete(oldest);
      oldest.destroy();
    }
    return isKept;
  }

  override reuseSocket(socket: Duplex, request: ClientRequest): void {
    this.#idle.delete(socket);
    super.reuseSocket(socket, request);
  }
}

/** The connections of one client. Disposing closes them all, those in use included. */
export interface Connections extends Disposable {
  /** To a host of the allowlist, or to any other: the two share none. */
  agentFor(isAllowed: boolean, isTls: boolean): HttpAgent;
}

/** Makes pools; `lookup` resolves the names that are not on the allowlist. */
export function createConnections(lookup: LookupFunction): Connections {
  const plain = new HttpAgent(POOL);
  const allowed = new HttpsAgent(POOL);
  const guarded = new GuardedAgent({ ...POOL, lookup });
  return {
    agentFor(isAllowed, isTls) {
      if (!isAllowed) return guarded;
      return isTls ? allowed : plain;
    },
    [Symbol.dispose]() {
      for (const agent of [plain, allowed, guarded]) agent.destroy();
    },
  };
}
