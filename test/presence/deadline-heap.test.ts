import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import { DeadlineHeap } from "../../src/presence/deadline-heap.ts";

test("whatever is set, moved and taken away, what is due comes out earliest first and nothing else", () => {
  const heap = new DeadlineHeap();
  const deadlines = new Map<number, number>();
  const slots = Array.from({ length: 500 }, () => heap.acquire());
  for (let round = 0; round < 20_000; round++) {
    const slot = slots[randomInt(slots.length)] as number;
    const deadline = randomInt(4) === 0 ? Number.POSITIVE_INFINITY : randomInt(1_000);
    heap.set(slot, deadline);
    if (deadline === Number.POSITIVE_INFINITY) deadlines.delete(slot);
    else deadlines.set(slot, deadline);
    expect(heap.size).toBe(deadlines.size);
    expect(heap.earliest).toBe(Math.min(...deadlines.values(), Number.POSITIVE_INFINITY));
    if (randomInt(20) > 0) continue;
    const now = randomInt(300);
    for (let due = heap.takeDue(now); due >= 0; due = heap.takeDue(now)) {
      expect(deadlines.get(due)).toBe(Math.min(...deadlines.values()));
      deadlines.delete(due);
    }
    expect(Math.min(...deadlines.values(), Number.POSITIVE_INFINITY)).toBeGreaterThan(now);
  }
});

test("a slot given back is given out again, without its deadline", () => {
  const heap = new DeadlineHeap();
  const slot = heap.acquire();
  heap.set(slot, 5);
  heap.release(slot);
  expect(heap.acquire()).toBe(slot);
  expect(heap.takeDue(10)).toBe(-1);
});
