/**
 * Deadlines of many things, the earliest first: an indexed binary heap in typed arrays, 16 bytes each. A thing is a slot, a
 * small integer that the heap gives out; each slot has at most one deadline.
 */
export class DeadlineHeap {
  /** By slot: its deadline. */
  #deadlines = new Float64Array(64);
  /** By slot: its place in `#order`, −1 where it has no deadline. */
  #places = new Int32Array(64).fill(-1);
  /** The heap itself: slots. */
  #order = new Int32Array(64);
  #size = 0;
  #slots = 0;
  readonly #free: number[] = [];

  /** How many slots have a deadline. */
  get size(): number {
    return this.#size;
  }

  /** The earliest deadline; Infinity: there is none. */
  get earliest(): number {
    return this.#size === 0 ? Number.POSITIVE_INFINITY : this.#deadlineAt(0);
  }

  /** Gives a slot, without a deadline. */
  acquire(): number {
    const slot = this.#free.pop() ?? this.#slots++;
    if (slot >= this.#places.length) this.#grow();
    return slot;
  }

  /** Takes a slot back, with its deadline. */
  release(slot: number): void {
    this.set(slot, Number.POSITIVE_INFINITY);
    this.#free.push(slot);
  }

  /** Sets a slot's deadline in place of the one it has; Infinity: none. */
  set(slot: number, deadline: number): void {
    const place = this.#places[slot] as number;
    if (deadline === Number.POSITIVE_INFINITY) {
      if (place >= 0) this.#remove(place);
      return;
    }
    this.#deadlines[slot] = deadline;
    if (place >= 0) this.#settle(slot, place);
    else this.#settle(slot, this.#size++);
  }

  /** Takes the slot with the earliest deadline off, if that is not after `now`; −1: none is due. */
  takeDue(now: number): number {
    if (this.earliest > now) return -1;
    const slot = this.#order[0] as number;
    this.#remove(0);
    return slot;
  }

  #remove(place: number): void {
    this.#places[this.#order[place] as number] = -1;
    const last = this.#order[--this.#size] as number;
    if (place < this.#size) this.#settle(last, place);
  }

  /** Puts `slot` where it belongs, beginning at a free `place`. */
  #settle(slot: number, start: number): void {
    const deadline = this.#deadlines[slot] as number;
    let place = start;
    for (let parent = (place - 1) >> 1; place > 0 && this.#deadlineAt(parent) > deadline; parent = (place - 1) >> 1) {
      this.#put(this.#order[parent] as number, place);
      place = parent;
    }
    for (let child = this.#lesserChild(place); child >= 0 && this.#deadlineAt(child) < deadline; ) {
      this.#put(this.#order[child] as number, place);
      place = child;
      child = this.#lesserChild(place);
    }
    this.#put(slot, place);
  }

  #lesserChild(place: number): number {
    const left = 2 * place + 1;
    if (left >= this.#size) return -1;
    return left + 1 < this.#size && this.#deadlineAt(left + 1) < this.#deadlineAt(left) ? left + 1 : left;
  }

  #put(slot: number, place: number): void {
    this.#order[place] = slot;
    this.#places[slot] = place;
  }

  #deadlineAt(place: number): number {
    return this.#deadlines[this.#order[place] as number] as number;
  }

  #grow(): void {
    const length = this.#places.length * 2;
    const [deadlines, places, order] = [
      new Float64Array(length),
      new Int32Array(length).fill(-1),
      new Int32Array(length),
    ];
    deadlines.set(this.#deadlines);
    places.set(this.#places);
    order.set(this.#order);
    [this.#deadlines, this.#places, this.#order] = [deadlines, places, order];
  }
}
