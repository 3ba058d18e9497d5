import { expect } from "vitest";
import type { RawAnswer, RawRequest } from "./raw-call.ts";
import { RawClient } from "./raw-call.ts";
import { startTwin, type Twin } from "./twin-servers.ts";

/** What a request came to at one server. */
interface Outcome {
  readonly answer: RawAnswer;
  /** What the log says of it. */
  readonly lines: readonly string[];
  readonly taken: number;
}

/** A server with the fast path and one without, and a client for each. */
export interface Pair extends AsyncDisposable {
  readonly twins: readonly [fast: Twin, plain: Twin];
  readonly clients: readonly [fast: RawClient, plain: RawClient];
  /** Asks both, and requires the same of them. Gives the answer. */
  same(request: RawRequest): Promise<RawAnswer>;
  /** How many requests the fast path has taken. */
  readonly taken: number;
}

export async function startPair(): Promise<Pair> {
  const twins = [await startTwin(true), await startTwin(false)] as const;
  const clients = [new RawClient(twins[0].port), new RawClient(twins[1].port)] as const;
  const ask = async (index: 0 | 1, request: RawRequest): Promise<Outcome> => {
    const twin = twins[index];
    const before = twin.taken;
    const answer = await clients[index].call(request);
    return { answer, lines: twin.calls.splice(0), taken: twin.taken - before };
  };
  return {
    twins,
    clients,
    async same(request) {
      const [fast, plain] = await Promise.all([ask(0, request), ask(1, request)]);
      expect({ ...fast, taken: 0 }).toEqual(plain);
      return fast.answer;
    },
    get taken() {
      return twins[0].taken;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]();
      for (const twin of twins) await twin[Symbol.asyncDispose]();
    },
  };
}
