/** Works on batches, several at a time, and settles them in their order. */
export interface Pipeline<Batch> {
  /** Resolves as soon as there is room for another one. Throws what a batch before failed for. */
  add(batch: Batch): Promise<void>;
  /** Resolves once all are settled. Throws what one of them failed for; those behind it are then not settled. */
  finish(): Promise<void>;
}

export interface PipelineSteps<Batch, Result> {
  /** Batches under way at a time. */
  readonly parallel: number;
  /** What a batch writes: of two that write the same thing, the later one begins when the earlier one has ended. */
  keysOf(batch: Batch): readonly string[];
  work(batch: Batch): Promise<Result>;
  /** Runs for one batch at a time. */
  settle(batch: Batch, result: Result): Promise<void>;
}

/** Batches that wait to be settled behind a slow one, per batch under way: memory is bounded. */
const WAITING = 4;

/** A pipeline without batches. */
export function createPipeline<Batch, Result>(steps: PipelineSteps<Batch, Result>): Pipeline<Batch> {
  const { parallel, keysOf, work, settle } = steps;
  const working = new Set<Promise<unknown>>();
  const unsettled = new Set<Promise<unknown>>();
  const writers = new Map<string, Promise<unknown>>();
  /** Whether all so far have been settled well. */
  let last = Promise.resolve(true);
  let failure: { readonly error: unknown } | undefined;

  async function workOn(batch: Batch, keys: readonly string[]): Promise<{ readonly result: Result } | undefined> {
    await Promise.all(new Set(keys.flatMap((key) => writers.get(key) ?? [])));
    try {
      return failure ? undefined : { result: await work(batch) };
    } catch (error) {
      failure ??= { error };
      return undefined;
    }
  }

  /** What is before a batch that failed is settled all the same; what is behind it is not. */
  async function settleAfter(before: Promise<boolean>, batch: Batch, worked: ReturnType<typeof workOn>) {
    const [isNext, done] = await Promise.all([before, worked]);
    if (!isNext || !done) return false;
    try {
      await settle(batch, done.result);
      return true;
    } catch (error) {
      failure ??= { error };
      return false;
    }
  }

  function start(batch: Batch): void {
    const keys = keysOf(batch);
    const worked = workOn(batch, keys);
    const settled = settleAfter(last, batch, worked);
    for (const key of keys) writers.set(key, worked);
    working.add(worked);
    unsettled.add(settled);
    last = settled;
    void worked.then(() => {
      working.delete(worked);
      for (const key of keys) if (writers.get(key) === worked) writers.delete(key);
    });
    void settled.then(() => unsettled.delete(settled));
  }

  function throwFailure(): void {
    if (failure) throw failure.error;
  }

  return {
    async add(batch) {
      throwFailure();
      start(batch);
      while (working.size >= parallel) await Promise.race(working);
      while (unsettled.size >= parallel * WAITING) await Promise.race(unsettled);
      throwFailure();
    },
    async finish() {
      await last;
      throwFailure();
    },
  };
}
