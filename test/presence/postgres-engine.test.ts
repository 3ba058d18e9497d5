import { setTimeout as sleep } from "node:timers/promises";
import { testDatabase } from "../support/database.ts";
import { testEngine } from "./engine-conformance.ts";
import { deleteUser, killListeners, makeProject, makeUsers, startEngine, suspendUser } from "./presence-fixture.ts";

const db = await testDatabase();

testEngine({
  open: async () => startEngine(db),
  makeProject: () => makeProject(db),
  makeUsers: (projectId, count) => makeUsers(db, projectId, count),
  deleteUser: ({ projectId, userId }) => deleteUser(db, projectId, userId),
  suspendUser: ({ projectId, userId }) => suspendUser(db, projectId, userId),
  pass: (ms) => sleep(ms),
  interrupt: async () => void (await killListeners(db)),
});
