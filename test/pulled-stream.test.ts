import { expect, test } from "vitest";
import { Bell } from "../src/bell.ts";
import { MusterError } from "../src/errors.ts";
import { inForm, PulledStream, type StreamNews } from "../src/pulled-stream.ts";
import { createFakeClock } from "./support/fake-clock.ts";

interface Word {
  readonly kind: string;
}

/** A stream of words that the test says, and what it holds. */
function openStream() {
  const clock = createFakeClock();
  const words: (string | Error)[] = [];
  const source = { staleFor: 0, isStale: false, restMs: Number.POSITIVE_INFINITY, opened: 0, closed: 0 };
  const [left, ended] = [new AbortController(), new AbortController()];
  const over: number[] = [];
  const signals = { left: left.signal, ended: ended.signal, onOver: () => over.push(clock.monotonic()) };
  /** What the source does before it says what there is. */
  const reading = new Bell(clock);
  let isSlow = false;
  let onNews = () => {};
  const stream = new PulledStream<Word, Word | StreamNews>(clock, 20_000, signals, (ring) => {
    source.opened++;
    onNews = ring;
    return Object.assign(source, {
      async next() {
        if (isSlow) await reading.wait();
        const word = words.shift();
        if (word instanceof Error) throw word;
        return word === undefined ? undefined : { kind: word };
      },
      message: (news: Word | StreamNews) => news,
      close: () => void source.closed++,
    });
  });
  const say = (...said: (string | Error)[]) => {
    words.push(...said);
    onNews();
  };
  const slow = () => {
    isSlow = true;
    return () => reading.ring();
  };
  return { clock, stream, source, say, slow, left, ended, over };
}

const DONE = { done: true, value: undefined };
const word = (kind: string) => ({ done: false, value: { kind } });

test("what there is to say is said when it is asked for, and what comes later as soon as it comes", async () => {
  const { stream, say } = openStream();
  say("a", "b");
  expect([await stream.next(), await stream.next()]).toEqual([word("a"), word("b")]);
  const waiting = stream.next();
  say("c");
  expect(await waiting).toEqual(word("c"));
});

test("20 s of silence are told from the last message on, however often it was told of news that were none", async () => {
  const { clock, stream, source, say } = openStream();
  say("a");
  await stream.next();
  await clock.advance(15_000);
  const waiting = stream.next();
  for (let n = 0; n < 49; n++) {
    await clock.advance(100);
    say();
  }
  source.isStale = true;
  const before = clock.monotonic();
  await clock.advance(100);
  expect(await waiting).toEqual({ done: false, value: { kind: "heartbeat", stale: true } });
  expect(before).toBe(19_900);
});

test("a source that says when to be asked again is asked then", async () => {
  const { clock, stream, source, say } = openStream();
  say("a");
  await stream.next();
  source.restMs = 500;
  const waiting = stream.next();
  await clock.advance(499);
  say("b");
  source.restMs = Number.POSITIVE_INFINITY;
  expect(await waiting).toEqual(word("b"));
});

test("the minute in which a reader has to accept something begins anew with each message", async () => {
  const { clock, stream, say, over } = openStream();
  for (let n = 0; n < 5; n++) {
    say("a");
    await stream.next();
    await clock.advance(40_000);
  }
  expect(over).toEqual([]);
  await clock.advance(20_000);
  expect(over).toEqual([220_000]);
  await expect(stream.next()).rejects.toMatchObject({ reason: "READER_STALLED" });
  expect(await stream.next()).toEqual(DONE);
});

test("a reader that waits is not one that accepts nothing", async () => {
  const { clock, stream, over } = openStream();
  for (let n = 0; n < 10; n++) {
    const waiting = stream.next();
    await clock.advance(20_000);
    expect(await waiting).toMatchObject({ value: { kind: "heartbeat" } });
  }
  expect(over).toEqual([]);
});

test("a message takes no timer of its own", async () => {
  const { clock, stream, say } = openStream();
  for (let n = 0; n < 100; n++) {
    say("a");
    await stream.next();
    const waiting = stream.next();
    say("b");
    await waiting;
    expect(clock.pending).toBe(1);
  }
});

test("what was found before the server shuts down is said before goodbye", async () => {
  const { stream, say, slow, ended, source } = openStream();
  const found = slow();
  const waiting = stream.next();
  say("a");
  ended.abort(new MusterError("SHUTTING_DOWN"));
  found();
  expect(await waiting).toEqual(word("a"));
  expect(await stream.next()).toMatchObject({ value: { kind: "goodbye" } });
  await expect(stream.next()).rejects.toMatchObject({ reason: "SHUTTING_DOWN" });
  expect(source.closed).toBeGreaterThan(0);
});

test("what is found after access has ended is not said", async () => {
  const { stream, say, slow, ended } = openStream();
  const found = slow();
  const waiting = stream.next();
  say("a");
  ended.abort(new MusterError("CREDENTIAL_INVALID"));
  found();
  await expect(waiting).rejects.toMatchObject({ reason: "CREDENTIAL_INVALID" });
  expect(await stream.next()).toEqual(DONE);
});

test("a stream that cannot tell what happens for a minute ends", async () => {
  const { stream, source } = openStream();
  source.staleFor = 60_000;
  await expect(stream.next()).rejects.toMatchObject({ reason: "STORAGE_UNAVAILABLE" });
  expect(source.closed).toBeGreaterThan(0);
});

test("what its source fails with ends it", async () => {
  const { clock, stream, say, source, over } = openStream();
  const waiting = stream.next();
  say(new MusterError("EVENT_CURSOR_EXPIRED"));
  await expect(waiting).rejects.toMatchObject({ reason: "EVENT_CURSOR_EXPIRED" });
  expect(await stream.next()).toEqual(DONE);
  expect([source.closed > 0, over.length > 0, clock.pending]).toEqual([true, true, 0]);
});

test("given back it is over, in the middle of a wait or of a look as well, and holds nothing", async () => {
  for (const isSlow of [false, true]) {
    const { clock, stream, say, slow, source, over } = openStream();
    const found = isSlow ? slow() : () => {};
    const waiting = stream.next();
    if (isSlow) say("a");
    expect(await stream.return()).toEqual(DONE);
    found();
    expect(await waiting).toEqual(DONE);
    expect(await stream.next()).toEqual(DONE);
    expect([source.closed > 0, over.length > 0, clock.pending]).toEqual([true, true, 0]);
  }
});

test("a stream that nobody pulls opens nothing, and is over with its reader", async () => {
  const { left, source, over } = openStream();
  left.abort(new Error("gone"));
  expect([source.opened, over]).toEqual([0, [0]]);
});

test("in another form it is the same stream", async () => {
  const { stream, say, over } = openStream();
  const formed = inForm(stream, ({ kind }) => kind.toUpperCase());
  const said: string[] = [];
  say("a", "b", "c");
  for await (const one of formed) {
    said.push(one);
    if (said.length === 2) break;
  }
  expect(said).toEqual(["A", "B"]);
  expect(over).not.toEqual([]);
  expect(await formed.next()).toEqual(DONE);
});
