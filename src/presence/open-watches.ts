import { MusterError } from "../errors.ts";
import type { ChangeOutcome, WatchChange, WatchOwner } from "./watch-change.ts";
import type { WatchTargets } from "./watch-targets.ts";

/** A stream of this process. */
export interface OpenWatch {
  readonly watchId: string;
  readonly owner: WatchOwner;
  /** @throws REQUEST_INVALID */
  change(add: WatchTargets, remove: WatchTargets): void;
}

/** The watches whose streams this process holds. */
export class OpenWatches {
  readonly #open = new Map<string, OpenWatch>();

  get size(): number {
    return this.#open.size;
  }

  add(watch: OpenWatch): void {
    this.#open.set(watch.watchId, watch);
  }

  delete(watch: OpenWatch): void {
    this.#open.delete(watch.watchId);
  }

  /** Changes a watch that the one who asks has opened; of others' it is not told that they are there. */
  change({ watchId, owner, add, remove }: WatchChange): ChangeOutcome {
    const watch = this.#open.get(watchId);
    if (watch?.owner.projectId !== owner.projectId || watch.owner.userId !== owner.userId) return "not found";
    try {
      watch.change(add, remove);
      return "done";
    } catch (error) {
      if (error instanceof MusterError) return "too many";
      throw error;
    }
  }
}
