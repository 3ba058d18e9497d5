/** What is done with a stream of messages on its way to the reader. */
export interface Follower<I, O> {
  /** Makes of a message what the reader gets; unset: it gets the message itself. */
  change?(message: I): O | Promise<O>;
  /** Hears that the messages have come to their end. */
  ended?(): void;
  /** Hears why there are no more, and gives what the reader is told instead. */
  failed?(error: unknown): unknown;
  /** Hears that the reader has left before the end. */
  left?(): void;
}

/**
 * The messages as `follower` makes them, each as it is asked for. A plain iterator, as all that follow each other take part in every message: a generator
 * in its place costs each several turns of the event loop. As with a generator, one that asks for a message waits for it before it asks for the next.
 */
export function followMessages<I, O = I>(
  messages: AsyncIterable<I>,
  follower: Follower<I, O>,
): AsyncIterableIterator<O, undefined> {
  return new Followed(messages[Symbol.asyncIterator](), follower);
}

class Followed<I, O> implements AsyncIterableIterator<O, undefined> {
  readonly #messages: AsyncIterator<I>;
  readonly #follower: Follower<I, O>;

  constructor(messages: AsyncIterator<I>, follower: Follower<I, O>) {
    this.#messages = messages;
    this.#follower = follower;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<O, undefined>> {
    return this.#messages.next().then(this.#passOn, this.#fail);
  }

  async return(): Promise<IteratorResult<O, undefined>> {
    try {
      await this.#messages.return?.();
    } catch (error) {
      return this.#fail(error);
    }
    this.#follower.left?.();
    return DONE;
  }

  readonly #passOn = (
    result: IteratorResult<I>,
  ): IteratorResult<O, undefined> | Promise<IteratorResult<O, undefined>> => {
    if (result.done) {
      this.#follower.ended?.();
      return DONE;
    }
    if (!this.#follower.change) return result as unknown as IteratorResult<O, undefined>;
    try {
      const value = this.#follower.change(result.value);
      return value instanceof Promise ? value.then(found, this.#giveUp) : found(value);
    } catch (error) {
      return this.#giveUp(error);
    }
  };

  /** What comes out of the messages themselves: there are no more of them. */
  readonly #fail = (error: unknown): never => {
    const { failed } = this.#follower;
    throw failed ? failed.call(this.#follower, error) : error;
  };

  /** What comes out of a change: of the messages that are left nobody hears. */
  readonly #giveUp = async (error: unknown): Promise<never> => {
    await this.#messages.return?.();
    return this.#fail(error);
  };
}

const DONE = { done: true, value: undefined } as const;

const found = <O>(value: O): IteratorResult<O, undefined> => ({ done: false, value });
