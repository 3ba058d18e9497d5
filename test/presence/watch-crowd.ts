import { createLogger } from "../../src/logger.ts";
import { createChain, type Step } from "../../src/presence/chain.ts";
import { keyOf, type Reading, type Subject } from "../../src/presence/engine.ts";
import { Hub } from "../../src/presence/hub.ts";
import { OpenWatches } from "../../src/presence/open-watches.ts";
import type { WatchMessage } from "../../src/presence/watch-event.ts";
import { WatchStream } from "../../src/presence/watch-stream.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { MemoryEngine, MemoryStore } from "./memory-engine.ts";

/** An engine that counts its reads, and can be out of reach. */
class CountedEngine extends MemoryEngine {
  reads = 0;
  isAway = false;
  /** What its clock is off by from what it was, in microseconds. */
  offset = 0;

  override async get(subjects: readonly Subject[]): Promise<Reading> {
    if (this.isAway) throw new Error("out of reach");
    this.reads += subjects.length;
    const reading = await super.get(subjects);
    return { ...reading, now: reading.now + this.offset };
  }
}

const left = () => new AbortController();

/** A stream, and what it has said. */
export class CrowdReader {
  readonly messages: WatchMessage[] = [];
  readonly leaving = left();
  /** What the stream ended with. */
  failure: unknown;
  readonly stream: WatchStream;

  constructor(crowd: Crowd, subjects: readonly Subject[], resumeToken: Uint8Array = new Uint8Array()) {
    const projects = { get: async () => ({ settings: { defaultPresence: "offline", usersMayList: false } }) };
    const deps = {
      hub: crowd.hub,
      clock: crowd.clock,
      open: crowd.open,
      projects,
      deletedAmong: async () => new Set<string>(),
    };
    const owner = { projectId: "p", userId: undefined };
    const targets = { subjects, unknownExternalIds: [] };
    const input = { watchId: crypto.randomUUID(), owner, targets, resumeToken, minIntervalMs: 0 };
    this.stream = new WatchStream(deps, input, { left: this.leaving.signal, ended: left().signal });
  }

  /** Reads until it is over. */
  async run(): Promise<void> {
    try {
      for (;;) this.messages.push(await this.stream.next());
    } catch (error) {
      this.failure = error;
    }
  }

  get token(): Uint8Array {
    return this.messages.at(-1)?.resumeToken ?? new Uint8Array();
  }

  kinds(): string[] {
    return this.messages.map(({ event }) => event.kind);
  }

  /** How often which status was told. */
  told(): Record<string, number> {
    const statuses = this.messages.flatMap(({ event }) => (event.kind === "update" ? event.presences : []));
    const groups = Map.groupBy(statuses, ({ status }) => status);
    return Object.fromEntries(groups.entries().map(([status, its]) => [status, its.length]));
  }
}

/** One server and many readers over an engine in memory, in virtual time. */
export class Crowd implements Disposable {
  readonly clock = createFakeClock();
  readonly store = new MemoryStore(this.clock);
  readonly engine = new CountedEngine(this.store);
  readonly open = new OpenWatches();
  readonly hub = new Hub(this.engine, this.clock, createLogger("silent"));

  users(count: number): Subject[] {
    const subjects = Array.from({ length: count }, (_, n) => ({
      projectId: "p",
      userId: `u${this.store.users.size + n}`,
    }));
    for (const subject of subjects)
      this.store.users.set(keyOf(subject), { externalId: subject.userId, lastActiveAt: undefined, record: undefined });
    return subjects;
  }

  set(subject: Subject, ...steps: Step[]): void {
    this.store.put({ subject, chain: createChain(steps, "presence") });
  }

  read(subjects: readonly Subject[], resumeToken?: Uint8Array): CrowdReader {
    const reader = new CrowdReader(this, subjects, resumeToken);
    void reader.run();
    return reader;
  }

  [Symbol.dispose](): void {
    this.hub[Symbol.dispose]();
  }
}
