import { expect, test } from "vitest";
import { type Follower, followMessages } from "../../src/rpc/follow-messages.ts";

/** Numbers from 1 on, what came of them, and whether they were left. */
function source(count: number, failure?: Error) {
  const seen = { asked: 0, left: 0 };
  async function* numbers() {
    try {
      for (let n = 1; n <= count; n++) {
        seen.asked++;
        yield n;
      }
      if (failure) throw failure;
    } finally {
      seen.left++;
    }
  }
  return { numbers: numbers(), seen };
}

function listening(more: Follower<number, number> = {}) {
  const heard: string[] = [];
  const follower: Follower<number, number> = {
    ended: () => void heard.push("ended"),
    failed(error) {
      heard.push(`failed: ${(error as Error).message}`);
      return error;
    },
    left: () => void heard.push("left"),
    ...more,
  };
  return { heard, follower };
}

async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const message of messages) taken.push(message);
  return taken;
}

test("messages come as they are changed, at once or later, and their end is heard of", async () => {
  const { heard, follower } = listening({ change: (n) => (n % 2 ? n * 10 : Promise.resolve(n * 100)) });
  expect(await all(followMessages(source(3).numbers, follower))).toEqual([10, 200, 30]);
  expect(heard).toEqual(["ended"]);
});

test("messages that are not changed are the same", async () => {
  const message = { a: 1 };
  async function* one() {
    yield message;
  }
  const [taken] = await all(followMessages(one(), {}));
  expect(taken).toBe(message);
});

test("a message is asked for when the reader asks for it", async () => {
  const { numbers, seen } = source(9);
  const messages = followMessages(numbers, {});
  expect(seen.asked).toBe(0);
  await messages.next();
  expect(seen.asked).toBe(1);
});

test("a failure is told as the follower would have it, and once", async () => {
  const { heard, follower } = listening();
  const failed: Follower<number, number>["failed"] = (error) => {
    follower.failed?.(error);
    return new Error("for the reader");
  };
  const messages = followMessages(source(1, new Error("of the service")).numbers, { ...follower, failed });
  await expect(all(messages)).rejects.toThrow("for the reader");
  expect(heard).toEqual(["failed: of the service"]);
});

test.for([
  ["at once", () => raise()],
  ["later", async () => raise()],
] as const)("where a change fails %s, the messages are left", async ([, change]) => {
  const { numbers, seen } = source(3);
  const { heard, follower } = listening({ change });
  await expect(all(followMessages(numbers, follower))).rejects.toThrow("no change");
  expect(seen).toEqual({ asked: 1, left: 1 });
  expect(heard).toEqual(["failed: no change"]);
});

function raise(): never {
  throw new Error("no change");
}

test("a reader that leaves leaves the messages, and is heard of", async () => {
  const { numbers, seen } = source(3);
  const { heard, follower } = listening();
  for await (const _ of followMessages(numbers, follower)) break;
  expect(seen).toEqual({ asked: 1, left: 1 });
  expect(heard).toEqual(["left"]);
});

test("a reader that leaves before it has asked for anything is heard of too", async () => {
  const { heard, follower } = listening();
  await followMessages(source(3).numbers, follower).return?.();
  expect(heard).toEqual(["left"]);
});

test("messages that cannot be left are told of as failed", async () => {
  const { heard, follower } = listening();
  const next = async () => ({ done: false, value: 1 }) as const;
  const stubborn = { [Symbol.asyncIterator]: () => ({ next, return: () => Promise.reject(new Error("stays")) }) };
  const messages = followMessages(stubborn, follower);
  await messages.next();
  await expect(messages.return?.()).rejects.toThrow("stays");
  expect(heard).toEqual(["failed: stays"]);
});
