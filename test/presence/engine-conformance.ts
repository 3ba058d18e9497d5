import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { createChain, type Step } from "../../src/presence/chain.ts";
import type { PresenceRecord } from "../../src/presence/effective-presence.ts";
import { type EngineObserver, keyOf, MAX_BATCH, type PresenceEngine, type Subject } from "../../src/presence/engine.ts";
import { testEnds } from "./engine-ends-conformance.ts";
import { eventually, MS } from "./presence-fixture.ts";

/** A store, and the engines of as many processes as a test asks for. */
export interface EngineSetup {
  /** The engine of one more process; disposed by the test. */
  open(): Promise<PresenceEngine>;
  makeProject(): Promise<string>;
  /** Users of a project, by their ids. */
  makeUsers(projectId: string, count: number): Promise<readonly string[]>;
  /** Deletes a user where users are kept. Nobody is told. */
  deleteUser(subject: Subject): Promise<void>;
  /** Suspends a user so that it may not sign in. Nobody is told. */
  suspendUser(subject: Subject): Promise<void>;
  /** Has some milliseconds pass on the engine's clock. */
  pass(ms: number): Promise<void>;
  /** Cuts the engines off from the store for a moment. */
  interrupt(): Promise<void>;
}

/** Notes what an engine tells. */
class Notes implements EngineObserver {
  readonly changes: { readonly key: string; readonly record: PresenceRecord | undefined }[] = [];
  readonly log: string[] = [];
  generation = 0;

  onChange(subject: Subject, record: PresenceRecord | undefined): void {
    this.changes.push({ key: keyOf(subject), record });
  }

  onGap(): void {
    this.log.push("gap");
  }

  onGeneration(generation: number): void {
    this.log.push("generation");
    this.generation = generation;
  }

  of(subject: Subject): (PresenceRecord | undefined)[] {
    return this.changes.filter(({ key }) => key === keyOf(subject)).map(({ record }) => record);
  }
}

const chainOf = (...steps: Step[]) => createChain(steps, "presence");

/** What every engine does, whatever it stands on. */
export function testEngine(setup: EngineSetup): void {
  const open = async (): Promise<PresenceEngine> => {
    const engine = await setup.open();
    onTestFinished(() => engine[Symbol.asyncDispose]());
    return engine;
  };
  const users = async (count: number, projectId?: string): Promise<Subject[]> => {
    const project = projectId ?? (await setup.makeProject());
    return (await setup.makeUsers(project, count)).map((userId) => ({ projectId: project, userId }));
  };
  const user = async (): Promise<Subject> => (await users(1))[0] as Subject;
  const watched = async (subjects: readonly Subject[]) => {
    const engine = await open();
    const notes = new Notes();
    engine.observe(notes);
    await engine.subscribe(subjects);
    return { engine, notes };
  };
  const put = async (engine: PresenceEngine, subject: Subject, ...steps: Step[]): Promise<PresenceRecord> => {
    const { outcomes } = await engine.set([{ subject, chain: chainOf(...steps) }]);
    const [outcome] = outcomes;
    if (typeof outcome !== "object") throw new Error(`the presence was not set: ${outcome}`);
    return outcome.record;
  };
  const recordOf = async (engine: PresenceEngine, subject: Subject) => (await engine.get([subject])).users[0]?.record;
  /** Everything told so far has arrived once this has. */
  const fence = async (engine: PresenceEngine, notes: Notes, subject: Subject) => {
    const { revision } = await put(engine, subject, { status: randomUUID() });
    await eventually(() => notes.of(subject).some((record) => record?.revision === revision));
  };

  testEnds(setup);

  test("gives what was set, and the name of its store, to every process, and nothing for those that never set", async () => {
    const [one, other] = [await open(), await open()];
    const [a, b] = (await users(2)) as [Subject, Subject];
    const steps = [
      { status: "online", message: 'até "já"\n\\ % 🙂', metadata: { room: [4, null] }, ttl: 60_000 * MS },
      { status: "away" },
    ];
    const record = await put(one, a, ...steps);
    expect(record).toMatchObject({ steps, since: record.setAt });
    const reading = await other.get([b, a]);
    expect(reading.users.map((it) => it?.record)).toEqual([undefined, record]);
    expect(reading.users.every((it) => it?.externalId !== undefined)).toBe(true);
    expect(reading.now).toBeGreaterThanOrEqual(record.setAt);
    expect(reading.identity).not.toBe("");
    expect((await one.get([a])).identity).toBe(reading.identity);
  });

  test("knows nobody by an id of another project", async () => {
    const engine = await open();
    const here = await user();
    await put(engine, here, { status: "online" });
    const elsewhere = { projectId: await setup.makeProject(), userId: here.userId };
    const stranger = { ...here, userId: randomUUID() };
    expect((await engine.get([elsewhere, stranger])).users).toEqual([undefined, undefined]);
    const changes = [elsewhere, here, stranger].map((subject) => ({ subject, chain: chainOf({ status: "busy" }) }));
    const { outcomes } = await engine.set(changes);
    expect(outcomes).toMatchObject(["no such user", { record: { steps: [{ status: "busy" }] } }, "no such user"]);
  });

  test("revisions are times of its clock, and rise where that stands still", async () => {
    const [one, other] = [await open(), await open()];
    const subject = await user();
    const { now } = await one.get([subject]);
    let last = now - 1;
    for (let round = 0; round < 40; round++) {
      const racing = [one, other].map((engine, n) => put(engine, subject, { status: `s${round}.${n}` }));
      const revisions = (await Promise.all(racing)).map(({ revision }) => revision).sort((a, b) => a - b);
      expect(revisions[0]).toBeGreaterThan(last);
      expect(revisions[1]).toBeGreaterThan(revisions[0] as number);
      last = revisions[1] as number;
    }
    const record = await recordOf(other, subject);
    expect(record?.revision).toBe(last);
    await setup.pass(5);
    const { revision, setAt } = await put(one, subject, { status: "now" });
    expect(revision).toBe(setAt);
  });

  test("setting an equal chain moves the deadline while its first step lasts, and nobody is told", async () => {
    const [subject, other] = (await users(2)) as [Subject, Subject];
    const { engine, notes } = await watched([subject, other]);
    const chain = [{ status: "online", ttl: 60_000 * MS }, { status: "away" }];
    const brief = [{ status: "brief", ttl: 20 * MS }, { status: "away" }];
    const first = await put(engine, subject, ...chain);
    await setup.pass(2);
    const second = await put(engine, subject, ...chain);
    expect(second.since).toBe(first.since);
    expect(second.setAt).toBeGreaterThan(first.setAt);
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(await recordOf(engine, subject)).toEqual(second);
    await fence(engine, notes, other);
    expect(notes.of(subject)).toEqual([first]);
    const third = await put(engine, subject, ...brief);
    await setup.pass(30);
    const fourth = await put(engine, subject, ...brief);
    expect(fourth.since).toBe(fourth.setAt);
    const fifth = await put(engine, subject, { status: "brief", message: "hi", ttl: 60_000 * MS }, { status: "away" });
    expect(fifth.since).toBe(fifth.setAt);
    await eventually(() => notes.of(subject).length === 4);
    expect(notes.of(subject)).toEqual([first, third, fourth, fifth]);
  });

  test("a status without an end is refreshed however late", async () => {
    const engine = await open();
    const subject = await user();
    const first = await put(engine, subject, { status: "busy" });
    await setup.pass(20);
    expect((await put(engine, subject, { status: "busy" })).since).toBe(first.since);
  });

  test("once a subscription is acknowledged no change is missed", async () => {
    const writer = await open();
    const subjects = await users(60);
    const { engine, notes } = await watched([]);
    for (const subject of subjects) {
      await engine.subscribe([subject]);
      await put(writer, subject, { status: "online" });
    }
    await eventually(() => notes.changes.length >= subjects.length);
    for (const subject of subjects) expect(notes.of(subject)).toEqual([await recordOf(writer, subject)]);
  });

  test("tells of a change with all there is to it, or to have it read", async () => {
    const writer = await open();
    const subject = await user();
    const { notes } = await watched([subject]);
    const long = Array.from({ length: 45 }, (_, n) => ({
      status: `s${n}`,
      message: "x".repeat(40),
      ttl: 1_000 * MS + n,
    }));
    const stored = [await put(writer, subject, { status: "online", metadata: { a: 1 } })];
    await eventually(() => notes.changes.length === 1);
    stored.push(await put(writer, subject, ...long));
    await eventually(() => notes.changes.length === 2);
    for (const [index, record] of notes.of(subject).entries())
      expect(record === undefined || JSON.stringify(record) === JSON.stringify(stored[index])).toBe(true);
  });

  test("tells only of those subscribed to, and no longer after that ends", async () => {
    const [kept, left, never] = (await users(3)) as [Subject, Subject, Subject];
    const { engine, notes } = await watched([kept, left]);
    const namesake = (await users(1))[0] as Subject;
    await put(engine, never, { status: "online" });
    await put(engine, namesake, { status: "online" });
    await put(engine, left, { status: "online" });
    await eventually(() => notes.of(left).length === 1);
    engine.unsubscribe([left]);
    await put(engine, left, { status: "away" });
    await fence(engine, notes, kept);
    await engine.subscribe([left]);
    const { revision } = await put(engine, left, { status: "busy" });
    await eventually(() => notes.of(left).some((record) => record?.revision === revision));
    expect(notes.of(left)).toHaveLength(2);
    expect([...notes.of(never), ...notes.of(namesake)]).toEqual([]);
  });

  test(`takes and gives ${MAX_BATCH} users at once, each with as long a chain as there may be`, async () => {
    const engine = await open();
    const subjects = await users(MAX_BATCH);
    const long = Array.from({ length: 64 }, (_, n) => ({ status: `s${n}`, message: "é", ttl: 1_000 * MS + n }));
    const changes = subjects.map((subject, n) => ({ subject, chain: chainOf(...long.slice(0, 1 + (n % 64))) }));
    const { outcomes, now } = await engine.set(changes);
    const records = outcomes.map((outcome) => (typeof outcome === "object" ? outcome.record : undefined));
    expect(records.map((record) => record?.steps.length)).toEqual(subjects.map((_, n) => 1 + (n % 64)));
    const reading = await engine.get(subjects);
    expect(reading.users.map((it) => it?.record)).toEqual(records);
    expect(reading.now).toBeGreaterThanOrEqual(now);
  });

  test("batches that cross each other all succeed, and of each user the latest change stays", async () => {
    const engines = [await open(), await open()];
    const subjects = await users(100);
    const put = async (n: number) => {
      const order = n % 2 === 0 ? subjects : subjects.toReversed();
      const changes = order.map((subject) => ({ subject, chain: chainOf({ status: `s${n}` }) }));
      const { outcomes } = await (engines[n % 2] as PresenceEngine).set(changes);
      return order.map((subject, index) => ({ subject, outcome: outcomes[index] }));
    };
    const all = (await Promise.all(Array.from({ length: 10 }, (_, n) => put(n)))).flat();
    const { users: known } = await (engines[0] as PresenceEngine).get(subjects);
    for (const [index, subject] of subjects.entries()) {
      const records = all.flatMap((it) =>
        it.subject === subject && typeof it.outcome === "object" ? [it.outcome.record] : [],
      );
      expect(records).toHaveLength(10);
      const latest = records.toSorted((a, b) => a.revision - b.revision).at(-1);
      expect(known[index]?.record).toEqual(latest);
    }
  });

  test("who was deleted is gone at once, and those that watch are told to look", async () => {
    const deleter = await open();
    const subject = await user();
    const { engine, notes } = await watched([subject]);
    await put(engine, subject, { status: "online" });
    await eventually(() => notes.changes.length === 1);
    await setup.deleteUser(subject);
    expect((await engine.get([subject])).users).toEqual([undefined]);
    deleter.announceDeletion(subject);
    await eventually(() => notes.changes.length === 2);
    expect(notes.of(subject).at(-1)).toBeUndefined();
    const { outcomes } = await engine.set([{ subject, chain: chainOf({ status: "online" }) }]);
    expect(outcomes).toEqual(["no such user"]);
  });

  test("after an interruption a new generation begins, and what is subscribed to is told again", async () => {
    const [subject, other] = (await users(2)) as [Subject, Subject];
    const { engine, notes } = await watched([subject]);
    const before = await put(engine, subject, { status: "before" });
    const { generation, identity } = await engine.get([subject]);
    await setup.interrupt();
    await eventually(() => notes.log.at(-1) === "generation");
    expect(notes.log[0]).toBe("gap");
    expect(notes.generation).toBeGreaterThan(generation);
    // Connections to many servers are lost one after the other: until the last is back, a reading may fail.
    const read = () => engine.get([subject]).catch(() => undefined);
    await eventually(async () => (await read())?.generation === notes.generation);
    expect(await read()).toMatchObject({ identity, users: [{ record: before }] });
    await engine.subscribe([other]);
    await fence(engine, notes, subject);
    await fence(engine, notes, other);
  });

  test("a closed engine tells nothing, and others go on", async () => {
    const [subject, other] = (await users(2)) as [Subject, Subject];
    const { engine, notes } = await watched([subject]);
    const { notes: heard } = await watched([subject, other]);
    const writer = await open();
    await engine[Symbol.asyncDispose]();
    await put(writer, subject, { status: "online" });
    await fence(writer, heard, other);
    expect(heard.of(subject)).toHaveLength(1);
    expect([notes.changes, notes.log]).toEqual([[], []]);
  });
}
