import { type Clock, systemClock } from "../clock.ts";
import { hostWithPort } from "../setting-values.ts";
import { createConnections } from "./connections.ts";
import { type Answer, type Egress, EgressError, type EgressOutcome, type EgressRequest } from "./egress.ts";
import { exchange } from "./exchange.ts";
import { egressErrorOf } from "./node-failures.ts";
import { createPlaces } from "./places.ts";
import { createNameResolver, createPublicLookup, type ResolveName } from "./public-lookup.ts";
import { readHeaders } from "./request-headers.ts";
import { readTarget, type Target } from "./target.ts";

export interface EgressOptions {
  /** Hosts and ports that may be private and plain http: `host:port`, the host as URL has it. The system resolves their names. */
  readonly allow: readonly string[];
  readonly clock?: Clock;
  /** Told how each request ended. */
  readonly onEnd?: ((outcome: EgressOutcome) => void) | undefined;
  /** Resolves the names of all other hosts. Default: by the machine's name servers. */
  readonly resolve?: ResolveName;
}

/** The most that a request may take, in milliseconds. */
const MOST_MS = 10_000;
const MAX_BYTES = 65_536;

/** Makes a client with connections of its own. Requests that are under way when it is disposed of are UNREACHABLE. */
export function createEgress({ allow, clock = systemClock, onEnd, resolve }: EgressOptions): Egress {
  const connections = createConnections(createPublicLookup(resolve ?? createNameResolver()));
  const places = createPlaces();
  const allowed = new Set(allow);
  const underWay = new Set<AbortController>();

  async function send(target: Target, options: EgressRequest): Promise<Answer> {
    const { method = "GET", headers, body, signal, timeoutMs = MOST_MS, maxBytes = MAX_BYTES } = options;
    const { ignoreBody = false } = options;
    using _place = places.take(target.origin);
    const late = new AbortController();
    using _listed = listed(underWay, late);
    const giveUp = () => late.abort(new EgressError("TIMEOUT", `${target.origin} did not answer in time`));
    using _timer = clock.schedule(Math.min(timeoutMs, MOST_MS), giveUp);
    const ended = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
    ended.throwIfAborted();
    const agent = connections.agentFor(target.isAllowed, target.url.protocol === "https:");
    try {
      const asked = { agent, method, headers: readHeaders(headers), body, maxBytes, ignoreBody, signal: ended };
      return await exchange(target, asked);
    } catch (error) {
      ended.throwIfAborted();
      throw egressErrorOf(error, target.origin);
    }
  }

  return {
    async request(url, options = {}) {
      try {
        const answer = await send(readTarget(url, allowed), options);
        onEnd?.("ANSWERED");
        return answer;
      } catch (error) {
        onEnd?.(error instanceof EgressError ? error.kind : "ABORTED");
        throw error;
      }
    },
    check: (url) => void readTarget(url, allowed),
    [Symbol.dispose]() {
      for (const it of underWay) it.abort(new EgressError("UNREACHABLE", "the client was closed"));
      connections[Symbol.dispose]();
    },
  };
}

/** Has the set hold something until this is disposed of. */
function listed<T>(set: Set<T>, it: T): Disposable {
  set.add(it);
  return { [Symbol.dispose]: () => void set.delete(it) };
}

/** A client for what the configuration names: the host and port of this URL may be private and plain http. */
export const createEgressTo = (url: string, clock?: Clock): Egress =>
  createEgress({ allow: [hostWithPort(new URL(url))], ...(clock && { clock }) });
