/** The most deliveries that this process has under way: in all, and of one project, however many webhooks it has. */
const MOST = 512;
const MOST_OF_PROJECT = 64;
/** So many a webhook may have whatever the others have, up to the most that there are then. */
const OWN = 4;
const MOST_WITH_OWN = 2_048;

/**
 * Counts the deliveries under way, so that no receiver keeps the others waiting: who has few gets some in any case, and nobody more than half
 * of what is left.
 */
export class DeliveryPlaces {
  readonly #taken = new Map<string, number>();
  #all = 0;

  /** How many are under way. */
  get taken(): number {
    return this.#all;
  }

  /** Takes as many places as a webhook of the project may have beside the `held` that it has, maybe none. Gives how many. */
  take(projectId: string, held: number): number {
    const free = Math.min(MOST - this.#all, MOST_OF_PROJECT - (this.#taken.get(projectId) ?? 0));
    const own = Math.min(OWN - held, MOST_WITH_OWN - this.#all);
    const count = Math.max(0, own, Math.ceil(free / 2));
    this.#add(projectId, count);
    return count;
  }

  /** Gives places back. */
  leave(projectId: string, count: number): void {
    this.#add(projectId, -count);
  }

  #add(projectId: string, count: number): void {
    this.#all += count;
    const left = (this.#taken.get(projectId) ?? 0) + count;
    if (left > 0) this.#taken.set(projectId, left);
    else this.#taken.delete(projectId);
  }
}
