import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { MusterError } from "../../src/errors.ts";
import { keyOf, type PresenceEngine } from "../../src/presence/engine.ts";
import type { Presence } from "../../src/presence/presence.ts";
import { updateWatch } from "../../src/presence/update-watch.ts";
import { watchPresence } from "../../src/presence/watch.ts";
import {
  deleteUser,
  eventually,
  ids,
  killListeners,
  makeProject,
  makeUsers,
  Reader,
  set,
  startEngine,
  startPresence,
  watchInput,
} from "../presence/presence-fixture.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { createRandom } from "../support/random.ts";

const db = await testDatabase();
const projectId = await makeProject(db);
const LASTS_MS = 10_000;
const USERS = 200;

/** An engine that knows who is subscribed to. */
function counted(engine: PresenceEngine, subscribed: Set<string>): PresenceEngine {
  return {
    ...engine,
    subscribe(subjects) {
      for (const subject of subjects) subscribed.add(keyOf(subject));
      return engine.subscribe(subjects);
    },
    unsubscribe(subjects) {
      for (const subject of subjects) subscribed.delete(keyOf(subject));
      engine.unsubscribe(subjects);
    },
  };
}

/** A process whose timers are counted. Its time is moved on much faster than ours. */
function startCounted() {
  const clock = createFakeClock();
  const subscribed = new Set<string>();
  const presence = startPresence(db, clock, counted(startEngine(db), subscribed));
  return { clock, subscribed, presence };
}

type Counted = ReturnType<typeof startCounted>;

/** Everything at once, in an order that differs from run to run only by how long the database takes. */
class Soak {
  readonly #random = createRandom(6);
  readonly #users: string[];
  readonly #readers: { readonly reader: Reader; readonly presence: Presence }[] = [];
  /** Signals of streams that somebody opened and did not read on. */
  readonly signals: AbortSignal[] = [];
  readonly #left = new AbortController();
  readonly #begun: Promise<unknown>[] = [];
  /** Why sets failed. */
  readonly refusals: string[] = [];
  done = 0;

  constructor(users: readonly string[]) {
    this.#users = [...users];
  }

  async step(presence: Presence): Promise<void> {
    const kind = this.#random(20);
    this.done++;
    if (kind < 10) await this.#set(presence);
    else if (kind < 13) this.#open(presence);
    else if (kind < 15) await this.#leave();
    else if (kind < 16) this.#openAndForget(presence);
    else if (kind < 18) await this.#change();
    else if (kind < 19) await this.#delete(presence);
    else if (this.#random(4) === 0) await killListeners(db);
  }

  async end(): Promise<void> {
    this.#left.abort(new Error("left"));
    while (this.#readers.length > 0) await this.#leave();
    await Promise.allSettled(this.#begun);
  }

  #some(most: number): string[] {
    return Array.from({ length: 1 + this.#random(most) }, () => this.#users[this.#random(this.#users.length)] ?? "");
  }

  async #set(presence: Presence): Promise<void> {
    const chain = [{ status: "on", ttl: (1 + this.#random(2_000)) * 1_000 }, { status: `n${this.done}` }];
    const sets = this.#some(20).map((user) => set(presence, projectId, user, ...chain));
    const failed = (await Promise.allSettled(sets)).filter((it) => it.status === "rejected");
    const reasons = failed.map(({ reason }) => (reason as MusterError).reason);
    this.refusals.push(...reasons);
  }

  #open(presence: Presence): void {
    const minIntervalMs = this.#random(2) * this.#random(3_000);
    const reader = new Reader(presence, { projectId, keys: ids(this.#some(60)), minIntervalMs });
    this.signals.push(reader.ended.signal);
    this.#readers.push({ reader, presence });
  }

  /** Readers leave, are shut out, or go on elsewhere. */
  async #leave(): Promise<void> {
    const [found] = this.#readers.splice(this.#random(this.#readers.length), 1);
    if (!found) return;
    if (this.#random(2) === 0) found.reader.ended.abort(new MusterError("TOKEN_REVOKED"));
    const resumeToken = found.reader.messages.at(-1)?.resumeToken;
    await found.reader[Symbol.asyncDispose]();
    if (!resumeToken || this.#left.signal.aborted) return;
    const reader = new Reader(found.presence, { projectId, keys: ids(this.#some(60)), resumeToken });
    this.#readers.push({ reader, presence: found.presence });
  }

  #openAndForget(presence: Presence): void {
    const signals = { left: this.#left.signal, ended: new AbortController().signal };
    this.signals.push(signals.ended, signals.left);
    this.#begun.push(watchPresence(presence, watchInput({ projectId, keys: ids(this.#some(60)) }), signals).next());
  }

  async #change(): Promise<void> {
    const found = this.#readers[this.#random(this.#readers.length)];
    const opened = found?.reader.messages[0]?.event;
    if (opened?.kind !== "opened") return;
    const lists = { add: ids(this.#some(20)), remove: ids(this.#some(20)) };
    const owner = { projectId, userId: undefined };
    const input = { watchId: opened.watchId, ...lists };
    await updateWatch(found?.presence ?? never(), { projectId }, owner, input).catch((error: unknown) => {
      if (!found?.reader.failure) throw error;
    });
  }

  async #delete(presence: Presence): Promise<void> {
    if (this.#users.length <= USERS / 2) return;
    const [user = ""] = this.#users.splice(this.#random(this.#users.length), 1);
    await deleteUser(db, projectId, user);
    presence.announceDeletion(projectId, user);
  }
}

function never(): never {
  throw new Error("there is no such reader");
}

const countsOf = ({ clock, subscribed, presence }: Counted) => ({
  users: presence.hub.size,
  watches: presence.watches.open.size,
  timers: clock.pending,
  subscribed: subscribed.size,
});

test("when all have left, nothing is kept of what thousands of changes, streams and faults brought about", async () => {
  const servers = [startCounted(), startCounted()];
  const soak = new Soak(await makeUsers(db, projectId, USERS));
  const end = performance.now() + LASTS_MS;
  while (performance.now() < end) {
    const server = servers[soak.done % servers.length] ?? never();
    await soak.step(server.presence);
    await server.clock.advance(100);
  }
  expect(soak.done).toBeGreaterThan(50);
  // Users are deleted while they are set.
  expect(soak.refusals.filter((reason) => reason !== "USER_NOT_FOUND")).toEqual([]);
  expect(Math.max(...servers.map(({ presence }) => presence.hub.size))).toBeGreaterThan(0);
  await soak.end();
  for (const server of servers) {
    await eventually(async () => {
      // Users linger, and a reader that stalls is waited for.
      await server.clock.advance(10_000);
      await sleep(10);
      return Object.values(countsOf(server)).every((count) => count === 0);
    });
    expect(countsOf(server)).toEqual({ users: 0, watches: 0, timers: 0, subscribed: 0 });
    await server.presence[Symbol.asyncDispose]();
  }
  expect(soak.signals.filter((signal) => getEventListeners(signal, "abort").length > 0)).toEqual([]);
}, 120_000);
