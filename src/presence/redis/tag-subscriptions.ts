import type { Link } from "./link.ts";
import type { Masters } from "./masters.ts";
import { channelOf } from "./tags.ts";

interface Place {
  readonly link: Link;
  /** Resolves when the server acknowledged. */
  readonly acknowledged: Promise<void>;
}

/** The tags that this process listens to, each at the server that has it. */
export class TagSubscriptions {
  readonly #masters: Masters;
  /** How many users of a tag are listened to. */
  readonly #wanted = new Map<number, number>();
  readonly #places = new Map<number, Place>();

  constructor(masters: Masters) {
    this.#masters = masters;
  }

  /** Has a user's tag listened to, once `place` is called. */
  add(tag: number): void {
    this.#wanted.set(tag, (this.#wanted.get(tag) ?? 0) + 1);
  }

  remove(tag: number): void {
    const users = (this.#wanted.get(tag) ?? 0) - 1;
    if (users > 0) return void this.#wanted.set(tag, users);
    this.#wanted.delete(tag);
    const place = this.#places.get(tag);
    this.#places.delete(tag);
    // Where it fails, there are messages that nobody wants, or none any more.
    if (place && this.#masters.linkOf(tag) === place.link)
      place.link.subscriptions.unsubscribe(channelOf(tag)).catch(() => {});
  }

  /** Resolves when all these tags are listened to; rejects where one cannot be. */
  async place(tags: Iterable<number>): Promise<void> {
    const results = await Promise.allSettled([...new Set(tags)].map((tag) => this.#acknowledged(tag)));
    const failed = results.find(({ status }) => status === "rejected");
    if (failed) throw (failed as PromiseRejectedResult).reason;
  }

  /** Puts every wanted tag where it belongs now; rejects where one cannot be had. */
  async settle(): Promise<void> {
    await this.place(this.#wanted.keys());
  }

  /** Whether a tag that is listened to belongs elsewhere by now. */
  get isMisplaced(): boolean {
    return [...this.#places].some(([tag, { link }]) => this.#masters.linkOf(tag) !== link);
  }

  async #acknowledged(tag: number): Promise<void> {
    const link = this.#masters.linkOf(tag);
    if (!link) throw new Error("the Redis server that has the channel is not connected");
    const before = this.#places.get(tag);
    if (before?.link === link) return before.acknowledged;
    const place = { link, acknowledged: link.subscriptions.subscribe(channelOf(tag)) };
    this.#places.set(tag, place);
    try {
      await place.acknowledged;
    } catch (error) {
      if (this.#places.get(tag) === place) this.#places.delete(tag);
      // Most likely the channel is at another server now.
      void this.#masters.look();
      throw error;
    }
  }
}
