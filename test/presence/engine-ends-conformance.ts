import { expect, onTestFinished, test } from "vitest";
import { createChain, ENDED } from "../../src/presence/chain.ts";
import type { PresenceRecord } from "../../src/presence/effective-presence.ts";
import type { PresenceEngine, Subject } from "../../src/presence/engine.ts";
import type { EngineSetup } from "./engine-conformance.ts";
import { eventually } from "./presence-fixture.ts";

const chainOf = (status: string) => createChain([{ status }], "presence");

/** What every engine does where a presence is ended, or its user is. */
export function testEnds(setup: EngineSetup): void {
  const open = async (): Promise<PresenceEngine> => {
    const engine = await setup.open();
    onTestFinished(() => engine[Symbol.asyncDispose]());
    return engine;
  };
  const users = async (count: number): Promise<Subject[]> => {
    const projectId = await setup.makeProject();
    return (await setup.makeUsers(projectId, count)).map((userId) => ({ projectId, userId }));
  };

  test("a chain without steps ends what was set, and is told like any other", async () => {
    const [writer, reader] = [await open(), await open()];
    const [subject] = (await users(1)) as [Subject];
    const told: (PresenceRecord | undefined)[] = [];
    reader.observe({ onChange: (_, record) => told.push(record), onGap() {}, onGeneration() {} });
    await reader.subscribe([subject]);
    await writer.set([{ subject, chain: chainOf("online") }]);
    const { outcomes } = await writer.set([{ subject, chain: ENDED }]);
    const ended = typeof outcomes[0] === "object" ? outcomes[0].record : undefined;
    expect(ended?.steps).toEqual([]);
    expect((await reader.get([subject])).users[0]?.record).toEqual(ended);
    await eventually(() => told.length === 2);
    expect(told[1]).toEqual(ended);
  });

  test("who may not sign in has no presence: none can be set, and one can be ended", async () => {
    const engine = await open();
    const [subject, other] = (await users(2)) as [Subject, Subject];
    await engine.set([{ subject, chain: chainOf("online") }]);
    await setup.suspendUser(subject);
    const { outcomes } = await engine.set([subject, other].map((it) => ({ subject: it, chain: chainOf("busy") })));
    expect(outcomes).toMatchObject(["suspended", { record: { steps: [{ status: "busy" }] } }]);
    expect((await engine.set([{ subject, chain: ENDED }])).outcomes).toMatchObject([{ record: { steps: [] } }]);
  });

  test("a deletion amid changes leaves nobody online", async () => {
    const engine = await open();
    const subjects = await users(40);
    const racing = subjects.map(async (subject) => {
      const change = { subject, chain: chainOf("online") };
      const first = engine.set([change]);
      const deletion = setup.deleteUser(subject).then(() => engine.announceDeletion(subject));
      await Promise.all([first, deletion, engine.set([change])]);
    });
    await Promise.all(racing);
    expect((await engine.get(subjects)).users).toEqual(subjects.map(() => undefined));
  });
}
