import { vi } from "vitest";
import { reasonOf } from "./refusal.ts";

const PATIENCE = { timeout: 20_000, interval: 5 };

/** A reader of a watch that accepts at once whatever comes. */
export abstract class StreamReader<Message> {
  readonly messages: Message[] = [];
  /** The reason it ended for; `left` if it left itself. */
  readonly ended: Promise<string>;
  readonly #left = new AbortController();

  constructor(open: (options: { signal: AbortSignal }) => AsyncIterable<Message>, onMessage: () => void = () => {}) {
    const read = async () => {
      for await (const message of open({ signal: this.#left.signal })) {
        this.messages.push(message);
        onMessage();
      }
    };
    const run = read();
    this.ended = run.then(
      () => "no reason",
      () => (this.#left.signal.aborted ? "left" : reasonOf(run)),
    );
  }

  /** What each message is. */
  abstract get kinds(): (string | undefined)[];

  /** Resolves when it has been told of so many messages of a kind, and no more. */
  async until(kind: string, count = 1): Promise<void> {
    await vi.waitFor(() => {
      const told = this.kinds.filter((it) => it === kind).length;
      if (told !== count) throw new Error(`the reader was told of ${told} of ${count} of kind ${kind}`);
    }, PATIENCE);
  }

  leave(): void {
    this.#left.abort();
  }
}
