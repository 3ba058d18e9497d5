import { expect, test } from "vitest";
import { createHashQueue } from "../../src/users/passwords/hash-queue.ts";

/** Work that is done when it is told to. */
function someWork() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const work = { started: false, run: () => ((work.started = true), promise), finish: resolve, fail: reject };
  return work;
}
const settled = () => new Promise(setImmediate);

test("so much is done at once, and the next in line when one is done or fails", async () => {
  const queue = createHashQueue({ mostAtOnce: 2, mostWaiting: 10 });
  const works = [1, 2, 3, 4].map(someWork);
  const runs = works.map(({ run }) => queue.run(run));
  await settled();
  expect(works.map(({ started }) => started)).toEqual([true, true, false, false]);
  expect(queue.waiting).toBe(2);
  works[1]?.finish("done");
  await settled();
  expect(works.map(({ started }) => started)).toEqual([true, true, true, false]);
  works[0]?.fail(new Error("broken"));
  await expect(runs[0]).rejects.toThrow("broken");
  await settled();
  expect(works.map(({ started }) => started)).toEqual([true, true, true, true]);
  for (const { finish } of works) finish("done");
  expect(await Promise.all(runs.slice(1))).toEqual(["done", "done", "done"]);
});

test("more than may wait are refused, and told when to come back", async () => {
  const queue = createHashQueue({ mostAtOnce: 1, mostWaiting: 1 });
  const works = [1, 2].map(someWork);
  const runs = works.map(({ run }) => queue.run(run));
  await expect(queue.run(someWork().run)).rejects.toMatchObject({
    reason: "RATE_LIMITED",
    extra: { retryAfterMs: 2_000 },
  });
  for (const { finish } of works) finish("done");
  await Promise.all(runs);
  expect(await queue.run(async () => "later")).toBe("later");
});

test("who leaves while it waits leaves at once, and its place goes to the next", async () => {
  const queue = createHashQueue({ mostAtOnce: 1, mostWaiting: 2 });
  const [first, left, next] = [someWork(), someWork(), someWork()];
  const leaving = new AbortController();
  const runs = [queue.run(first.run), queue.run(left.run, leaving.signal), queue.run(next.run)];
  leaving.abort(new Error("left"));
  await expect(runs[1]).rejects.toThrow("left");
  expect(queue.waiting).toBe(1);
  first.finish("done");
  next.finish("done");
  expect(await Promise.all([runs[0], runs[2]])).toEqual(["done", "done"]);
  expect(left.started).toBe(false);
  await expect(queue.run(someWork().run, leaving.signal)).rejects.toThrow("left");
});

test("however turns are taken, given up and handed on, none is lost", async () => {
  const queue = createHashQueue({ mostAtOnce: 2, mostWaiting: 100 });
  let running = 0;
  let most = 0;
  const runs = Array.from({ length: 100 }, (_, i) => {
    const leaving = new AbortController();
    const run = queue.run(async () => {
      most = Math.max(most, ++running);
      await settled();
      running--;
    }, leaving.signal);
    if (i % 3 === 0) void settled().then(() => leaving.abort(new Error("left")));
    return run;
  });
  await Promise.allSettled(runs);
  expect([most, running, queue.waiting]).toEqual([2, 0, 0]);
  expect(await queue.run(async () => "free")).toBe("free");
});
