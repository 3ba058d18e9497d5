import { randomUUID } from "node:crypto";
import { keyOf } from "../../src/presence/engine.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { testEngine } from "./engine-conformance.ts";
import { MemoryEngine, MemoryStore } from "./memory-engine.ts";

const clock = createFakeClock();
const store = new MemoryStore(clock);

testEngine({
  open: async () => new MemoryEngine(store),
  makeProject: async () => randomUUID(),
  async makeUsers(projectId, count) {
    const ids = Array.from({ length: count }, () => randomUUID());
    for (const userId of ids)
      store.users.set(keyOf({ projectId, userId }), { externalId: "", lastActiveAt: undefined, record: undefined });
    return ids;
  },
  deleteUser: async (subject) => void store.users.delete(keyOf(subject)),
  suspendUser: async (subject) => void store.suspended.add(keyOf(subject)),
  pass: (ms) => clock.advance(ms),
  interrupt: async () => store.interrupt(),
});
