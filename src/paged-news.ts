import type { Clock } from "./clock.ts";
import { MusterError } from "./errors.ts";

/** What a reader takes in at once. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Whether there is more already. */
  readonly more: boolean;
}

/** For how long the database is left alone that did not answer. */
const RETRY_MS = 500;

/**
 * What one reader is told out of pages: items, once that all that was there has been told, and items again as they come. At most a page is kept, and the
 * next one is read when that has been told.
 */
export class PagedNews<Item> {
  readonly #clock: Clock;
  readonly #read: () => Promise<Page<Item>>;
  /** Read, and not yet told, from `#next` on. */
  #page: readonly Item[] = [];
  #next = 0;
  /** Whether there may be something behind what was read. */
  #isDue = true;
  #retryAt = Number.NEGATIVE_INFINITY;
  #isLive = false;

  /** `read` takes the next page in. Once all that was there has been told, its STORAGE_UNAVAILABLE only makes it be asked again. */
  constructor(clock: Clock, read: () => Promise<Page<Item>>) {
    this.#clock = clock;
    this.#read = read;
  }

  /** Whether something may be there that has not been read. */
  get isDue(): boolean {
    return this.#isDue;
  }

  /** For how long there is nothing to read if nothing comes, in milliseconds. */
  get restMs(): number {
    return this.#isDue ? this.#retryAt - this.#clock.monotonic() : Number.POSITIVE_INFINITY;
  }

  /** There may be something behind what was read. */
  readonly wake = (): void => {
    this.#isDue = true;
  };

  /** The next item; `snapshotComplete`, once, when there is none for the first time; undefined while there is none. */
  async next(): Promise<Item | "snapshotComplete" | undefined> {
    while (this.#next === this.#page.length && this.#isDue && this.#clock.monotonic() >= this.#retryAt)
      await this.#readOn();
    const item = this.#page[this.#next];
    if (item !== undefined) {
      this.#next++;
      return item;
    }
    if (this.#isLive || this.#isDue) return undefined;
    this.#isLive = true;
    return "snapshotComplete";
  }

  /** Lets go of what was read. */
  clear(): void {
    this.#page = [];
    this.#next = 0;
  }

  async #readOn(): Promise<void> {
    // What is told while this reads may be too late for it.
    this.#isDue = false;
    try {
      const { items, more } = await this.#read();
      this.#page = items;
      this.#next = 0;
      this.#isDue ||= more;
    } catch (error) {
      this.#isDue = true;
      this.#retryAt = this.#clock.monotonic() + RETRY_MS;
      const isAway = error instanceof MusterError && error.reason === "STORAGE_UNAVAILABLE";
      if (!this.#isLive || !isAway) throw error;
    }
  }
}
