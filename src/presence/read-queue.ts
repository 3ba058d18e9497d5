import type { Clock } from "../clock.ts";
import { MAX_BATCH } from "./engine.ts";

/** How long after a failed read the next one is tried. */
const RETRY_MS = 1_000;

/**
 * What has to be read, each once, in batches, one batch at a time: however many ask, the engine is not flooded. What is
 * urgent goes first. What is added while it is being read is read again.
 */
export class ReadQueue<T> {
  readonly #read: (batch: readonly T[]) => Promise<void>;
  readonly #clock: Clock;
  readonly #urgent = new Set<T>();
  readonly #background = new Set<T>();
  #running = false;
  #pause: Disposable | undefined;
  #closed = false;

  /** `read` throws where nothing could be read: the batch is then kept. */
  constructor(clock: Clock, read: (batch: readonly T[]) => Promise<void>) {
    this.#clock = clock;
    this.#read = read;
  }

  add(item: T, urgent: boolean): void {
    if (urgent) {
      this.#background.delete(item);
      this.#urgent.add(item);
    } else if (!this.#urgent.has(item)) this.#background.add(item);
    this.#start();
  }

  delete(item: T): void {
    this.#urgent.delete(item);
    this.#background.delete(item);
  }

  /** Ends the wait after a failure: there is reason to hope. */
  resume(): void {
    this.#pause?.[Symbol.dispose]();
    this.#pause = undefined;
    this.#start();
  }

  close(): void {
    this.#closed = true;
    this.#pause?.[Symbol.dispose]();
  }

  #start(): void {
    if (this.#running || this.#pause || this.#closed) return;
    this.#running = true;
    // What is added in the same turn of the loop goes into the same batch.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#closed && this.#urgent.size + this.#background.size > 0) {
      const urgent = take(this.#urgent, MAX_BATCH);
      const background = take(this.#background, MAX_BATCH - urgent.length);
      try {
        await this.#read([...urgent, ...background]);
      } catch {
        for (const item of urgent) this.#urgent.add(item);
        for (const item of background) this.#background.add(item);
        this.#pause = this.#clock.schedule(RETRY_MS, () => this.resume());
        break;
      }
    }
    this.#running = false;
  }
}

function take<T>(from: Set<T>, most: number): T[] {
  const taken: T[] = [];
  for (const item of from) {
    if (taken.length >= most) break;
    from.delete(item);
    taken.push(item);
  }
  return taken;
}
