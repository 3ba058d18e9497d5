import { systemClock } from "../clock.ts";
import type { Listener } from "../db/listener.ts";
import type { Database } from "../db/orm.ts";
import { query } from "../db/statement.ts";
import { invalid, MusterError } from "../errors.ts";
import type { NewId } from "../ids.ts";
import type { Logger } from "../logger.ts";
import { OpenWatches } from "./open-watches.ts";
import { type ChangeOutcome, changeOf, partsOf, type WatchChange, type WatchNote } from "./watch-change.ts";
import { MOST_WATCHED } from "./watch-list.ts";

export interface WatchExchangeDeps {
  readonly db: Database;
  readonly listener: Listener;
  readonly newId: NewId;
  readonly logger: Logger;
}

type Part = Extract<WatchNote, { kind: "part" }>;

/** How long a holder is waited for, before a change is sent again and before it is given up. */
const PATIENCE_MS = [1_000, 2_000];
/** How long what may come again is remembered: longer than anybody sends it again. */
const REMEMBER_MS = 10_000;

const SEND = { name: "watch_send", text: "select pg_notify($1, note) from unnest($2::text[]) as note" };

const channelOf = (node: string): string => `muster_watch_${node}`;

/**
 * Brings changes of watches to the server that holds the stream, whichever server they arrive at: the name of a watch says which one
 * that is, and it answers when the change is made. A change names users to be on the list or off it, so that it does no harm where it
 * is made twice.
 */
export class WatchExchange implements AsyncDisposable {
  readonly open = new OpenWatches();
  readonly #deps: WatchExchangeDeps;
  readonly #node: string;
  readonly #arrived = new Map<string, Map<number, Part>>();
  readonly #outcomes = new Map<string, ChangeOutcome>();
  readonly #asked = new Map<string, (outcome: ChangeOutcome) => void>();
  readonly #timers = new Set<Disposable>();
  #listening: Promise<Disposable> | undefined;

  constructor(deps: WatchExchangeDeps) {
    this.#deps = deps;
    this.#node = deps.newId().replaceAll("-", "");
  }

  /** The name of another watch of this process. */
  newWatchId(): string {
    void this.#listen();
    return `${this.#node}.${this.#deps.newId()}`;
  }

  /**
   * Changes a watch; resolves when that is done.
   * @throws WATCH_NOT_FOUND, also where the server that holds it does not answer; REQUEST_INVALID, STORAGE_UNAVAILABLE
   */
  async change(change: WatchChange): Promise<void> {
    const [node = ""] = change.watchId.split(".");
    const isOurs = node === this.#node || !/^[0-9a-f]{32}$/.test(node);
    const outcome = isOurs ? this.open.change(change) : await this.#ask(node, change);
    if (outcome === "too many") throw invalid("add", `a watch has at most ${MOST_WATCHED} users`);
    if (outcome === "not found") throw new MusterError("WATCH_NOT_FOUND");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) timer[Symbol.dispose]();
    for (const answer of this.#asked.values()) answer("not found");
    // While the database is away, the listener's acknowledgement may never come: nothing waits for it.
    void this.#listening?.then((subscription) => subscription[Symbol.dispose]());
  }

  #listen(): Promise<Disposable> {
    this.#listening ??= this.#deps.listener.listen(channelOf(this.#node), {
      onNotification: (payload) => this.#hear(payload),
      // What was missed is sent again.
      onGap() {},
    });
    return this.#listening;
  }

  async #ask(node: string, change: WatchChange): Promise<ChangeOutcome> {
    const id = this.#deps.newId();
    const { promise, resolve } = Promise.withResolvers<ChangeOutcome>();
    this.#asked.set(id, resolve);
    const parts = partsOf(id, this.#node, change);
    try {
      let outcome: ChangeOutcome | undefined;
      for (const patienceMs of PATIENCE_MS) outcome ??= await this.#send(node, parts, promise, patienceMs);
      return outcome ?? "not found";
    } finally {
      this.#asked.delete(id);
    }
  }

  /** Gives nothing where no answer comes. */
  async #send(
    node: string,
    notes: readonly WatchNote[],
    answer: Promise<ChangeOutcome>,
    patienceMs: number,
  ): Promise<ChangeOutcome | undefined> {
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    using _ = systemClock.schedule(patienceMs, () => resolve(undefined));
    // Without an ear of its own, the answer would be missed.
    await Promise.race([this.#listen(), over]);
    await this.#notify(node, notes);
    return await Promise.race([answer, over]);
  }

  async #notify(node: string, notes: readonly WatchNote[]): Promise<void> {
    await query(this.#deps.db.pool, SEND, [channelOf(node), notes.map((note) => JSON.stringify(note))]);
  }

  #hear(payload: string): void {
    try {
      const note = JSON.parse(payload) as WatchNote;
      if (note.kind === "outcome") this.#asked.get(note.id)?.(note.outcome);
      else this.#take(note);
    } catch (error) {
      this.#deps.logger.warn({ err: error }, "a notification about watches cannot be read");
    }
  }

  #take(part: Part): void {
    const { id, from } = part;
    const known = this.#outcomes.get(id);
    if (known) return this.#answer(from, id, known);
    const parts = this.#arrived.get(id) ?? new Map<number, Part>();
    if (parts.size === 0) this.#forgetLater(id);
    this.#arrived.set(id, parts.set(part.part, part));
    const change = changeOf([...parts.values()]);
    if (!change) return;
    this.#arrived.delete(id);
    const outcome = this.open.change(change);
    this.#outcomes.set(id, outcome);
    this.#answer(from, id, outcome);
  }

  /** An answer that does not get through is asked for again. */
  #answer(node: string, id: string, outcome: ChangeOutcome): void {
    this.#notify(node, [{ kind: "outcome", id, outcome }]).catch((error: unknown) =>
      this.#deps.logger.warn({ err: error }, "what came of a change of a watch cannot be told"),
    );
  }

  #forgetLater(id: string): void {
    const timer = systemClock.schedule(REMEMBER_MS, () => {
      this.#timers.delete(timer);
      this.#arrived.delete(id);
      this.#outcomes.delete(id);
    });
    this.#timers.add(timer);
  }
}
