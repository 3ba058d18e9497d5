import type { Clock } from "../../clock.ts";
import { type Breaker, type BreakerOptions, createBreaker } from "./breaker.ts";
import type { Provider } from "./provider.ts";

/** Stands before the calls to one provider. */
export interface ProviderGate {
  /** Calls, unless the provider does not work, or too many calls to it are under way. */
  run<T>(call: () => Promise<T>): Promise<T>;
}

/** The gates of all providers, as this process has seen them. */
export interface ProviderGates {
  gateOf(provider: Provider): ProviderGate;
}

/** So that one that answers slowly holds up neither memory nor the places of others. */
const MOST_AT_ONCE = 64;
const BUSY_MS = 1_000;
/** The one longest unused is forgotten first. */
const MOST_GATES = 1_000;

export type GateOptions = Omit<BreakerOptions, "clock"> & { readonly clock: Clock };

/** Makes the gates. A provider that is changed has a new one: what was wrong with it may be right now. */
export function createProviderGates(options: GateOptions): ProviderGates {
  const gates = new Map<string, ProviderGate>();
  return {
    gateOf({ projectId, id, updateTime }) {
      const key = `${projectId}/${id}/${updateTime.getTime()}`;
      const gate = gates.get(key) ?? createGate(createBreaker(options), options);
      gates.delete(key);
      gates.set(key, gate);
      const [oldest] = gates.keys();
      if (gates.size > MOST_GATES && oldest !== undefined) gates.delete(oldest);
      return gate;
    },
  };
}

function createGate(breaker: Breaker, { refusal }: GateOptions): ProviderGate {
  let underWay = 0;
  return {
    async run(call) {
      if (underWay >= MOST_AT_ONCE) throw refusal(BUSY_MS);
      underWay += 1;
      try {
        return await breaker.run(call);
      } finally {
        underWay -= 1;
      }
    },
  };
}
