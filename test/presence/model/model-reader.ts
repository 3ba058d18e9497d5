import { spanAt } from "../../../src/presence/effective-presence.ts";
import { keyOf, type Subject } from "../../../src/presence/engine.ts";
import type { Hub } from "../../../src/presence/hub.ts";
import { OpenWatches } from "../../../src/presence/open-watches.ts";
import type { UserPresence } from "../../../src/presence/user-presence.ts";
import type { WatchMessage } from "../../../src/presence/watch-event.ts";
import { WatchStream } from "../../../src/presence/watch-stream.ts";
import type { UserWatcher, WatchedUser } from "../../../src/presence/watched-user.ts";
import type { LossyStore } from "./lossy-store.ts";

/** How a reader sees one user: when the state began and which link it is; `deleted` when it was told so. */
export type Seen = { readonly revision: number; readonly step: number; readonly since: number | undefined } | "deleted";

/** What a reader knew at the moment it could have been cut off. */
export interface Cut {
  readonly token: Uint8Array;
  readonly view: ReadonlyMap<string, Seen>;
}

const NEVER: Seen = { revision: 0, step: 0, since: undefined };

/** Longer than any read or note is under way. */
const LATE = 500_000;

/** Looks over a hub's shoulder: no link may be told to be over that the engine does not say is. */
export class Witness implements UserWatcher {
  untrue = 0;
  #joining = false;
  readonly #store: LossyStore;

  constructor(store: LossyStore) {
    this.#store = store;
  }

  /** What it is told as it joins may be as old as the last read: a note of something newer may be lost. */
  join(hub: Hub, subject: Subject): void {
    this.#joining = true;
    hub.join(subject, this);
    this.#joining = false;
  }

  onChange({ subject, record, span }: WatchedUser): void {
    if (this.#joining) return;
    if (span.step > 0 && !this.#store.wasInForce(subject, record?.since, span.step, LATE)) this.untrue++;
  }

  onRollback(): void {}
}

/** One that watches, slowly, is cut off, and goes on elsewhere. Notes each message that is not as it was promised. */
export class ModelReader {
  readonly faults: string[] = [];
  readonly cuts: Cut[] = [];
  /** What it would show its user. */
  readonly view = new Map<string, Seen>();
  token: Uint8Array = new Uint8Array();
  /** Whether the stream is past its snapshot. */
  isLive = false;
  readonly #store: LossyStore;
  readonly #subjects: readonly Subject[];
  /** Told of since the snapshot began, and told to be deleted since the stream did. */
  #fresh = new Set<string>();
  #gone = new Set<string>();
  #resumed = false;
  #opened = false;
  #left = new AbortController();

  constructor(store: LossyStore, subjects: readonly Subject[], from?: Cut) {
    this.#store = store;
    this.#subjects = subjects;
    if (!from) return;
    this.token = from.token;
    for (const [user, seen] of from.view) this.view.set(user, seen);
  }

  /** Reads one stream of a server until it is cut off. `slow`: pauses now and then. */
  async read(hub: Hub, slow: boolean): Promise<void> {
    const { clock } = this.#store;
    this.#left = new AbortController();
    this.isLive = false;
    this.#opened = false;
    const projects = { get: async () => ({ settings: { defaultPresence: "offline", usersMayList: false } }) };
    const deletedAmong = async (projectId: string, ids: readonly string[]) =>
      new Set(ids.filter((userId) => this.#store.deleted.has(keyOf({ projectId, userId }))));
    const deps = { hub, clock, projects, deletedAmong, open: new OpenWatches() };
    const owner = { projectId: "p", userId: undefined };
    const targets = { subjects: this.#subjects, unknownExternalIds: [] };
    const input = { watchId: "w", owner, targets, resumeToken: this.token, minIntervalMs: 0 };
    const stream = new WatchStream(deps, input, { left: this.#left.signal, ended: new AbortController().signal });
    try {
      for (;;) {
        this.#take(await stream.next());
        if (slow && this.#store.faulty) await this.#store.wait(this.#store.random(5) === 0 ? 2_000 : 100);
      }
    } catch (error) {
      if (!this.#left.signal.aborted) this.faults.push(`the stream ended: ${error}`);
    }
  }

  cut(): void {
    this.#left.abort();
  }

  /** Users that it sees in another state than they are in; a link may have ended within the time a read takes. */
  wrong(): string[] {
    return this.#subjects.map(keyOf).filter((key, index) => {
      const seen = this.view.get(key);
      const subject = this.#subjects[index] as Subject;
      if (this.#store.deleted.has(key)) return seen !== "deleted" && seen?.revision !== 0;
      const record = this.#store.recordOf(subject);
      const isAsIn = (late: number) => {
        const { step } = spanAt(record, this.#store.now - late);
        return seen && seen !== "deleted" && seen.step === step && seen.since === sinceOf(record, step);
      };
      return !isAsIn(0) && !isAsIn(100_000);
    });
  }

  #take({ event, resumeToken }: WatchMessage): void {
    this.token = resumeToken;
    switch (event.kind) {
      case "opened":
        if (this.#opened) this.faults.push("opened twice");
        this.#opened = true;
        this.#resumed = event.resumed;
        this.#gone = new Set();
        this.#fresh = new Set();
        break;
      case "resync":
        this.isLive = false;
        this.#resumed = false;
        this.#fresh = new Set();
        break;
      case "update":
        for (const presence of event.presences) this.#see(presence);
        break;
      case "userDeleted":
        this.#lose(keyOf({ projectId: "p", userId: event.userId }));
        break;
      case "snapshotComplete":
        if (this.isLive) this.faults.push("a snapshot that was complete already");
        this.isLive = true;
        for (const key of this.#subjects.map(keyOf)) this.#complete(key);
        break;
      case "heartbeat":
      case "goodbye":
    }
    if (!this.#opened) this.faults.push(`${event.kind} before opened`);
    if (this.token.length > 0 && this.#store.random(8) === 0)
      this.cuts.push({ token: this.token, view: new Map(this.view) });
  }

  #lose(key: string): void {
    if (this.#gone.has(key)) this.faults.push(`${key} deleted twice`);
    this.#gone.add(key);
    this.view.set(key, "deleted");
  }

  #see({ userId, revision, step, since }: UserPresence): void {
    const key = keyOf({ projectId: "p", userId });
    const before = this.#fresh.has(key) || this.#resumed ? this.view.get(key) : undefined;
    if (this.#gone.has(key)) this.faults.push(`${key} told of after it was deleted`);
    else if (before === "deleted" || !before) this.#fresh.add(key);
    else if (revision < before.revision || (revision === before.revision && step < before.step))
      this.faults.push(`${key} went back from ${JSON.stringify(before)} to ${JSON.stringify({ revision, step })}`);
    else if (this.#fresh.has(key) && revision === before.revision && step === before.step)
      this.faults.push(`${key} told twice: ${JSON.stringify(before)}`);
    this.#fresh.add(key);
    this.view.set(key, { revision, step, since: revision === 0 ? undefined : since });
  }

  #complete(key: string): void {
    if (this.#fresh.has(key) || this.#gone.has(key)) return;
    if (!this.#resumed) this.faults.push(`${key} left out of a whole snapshot`);
    else if (!this.view.has(key)) this.view.set(key, NEVER);
  }
}

function sinceOf(record: ReturnType<LossyStore["recordOf"]>, step: number): number | undefined {
  if (!record) return undefined;
  if (step === 0) return record.since;
  let start = record.setAt;
  for (const { ttl } of record.steps.slice(0, step)) start += ttl ?? 0;
  return start;
}
