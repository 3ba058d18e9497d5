import { randomBytes } from "node:crypto";
import { vi } from "vitest";
import type { Clock } from "../../src/clock.ts";
import type { Database } from "../../src/db/orm.ts";
import { MusterError, type Reason } from "../../src/errors.ts";
import { createIds } from "../../src/ids.ts";
import { createProject } from "../../src/projects/create-project.ts";
import type { StoredSettings } from "../../src/projects/project.entity.ts";
import { createProjectDirectory } from "../../src/projects/project-directory.ts";
import type { SettingName } from "../../src/projects/project-settings.ts";
import { updateProject } from "../../src/projects/update-project.ts";
import type { AccessMemory } from "../../src/revocations/revocations.ts";
import { createSealer, type Sealer } from "../../src/sealing.ts";
import { type IssueTokenInput, issueToken } from "../../src/tokens/issue-token.ts";
import { createTokens } from "../../src/tokens/tokens.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { TEST_ACT } from "../support/test-act.ts";

export const PUBLIC_URL = "https://id.example";
const DAY_MS = 86_400_000;
/** For how long a key is published before it signs. */
export const PREPARE_MS = 60_000;

/** Without a feed nothing is remembered: each use asks the database. */
const NO_MEMORY: AccessMemory = { mark: () => ({ at: 0, told: 0 }), holds: () => false };

/** The tokens feature of one process. Several on one database are processes of one deployment. */
export function tokensOn(db: Database, clock: Clock, sealer: Sealer) {
  const newId = createIds(clock);
  const projects = createProjectDirectory(db, clock, DAY_MS);
  const tokens = createTokens({
    ...{ db, clock, newId, projects, sealer, publicUrl: PUBLIC_URL, prepareMs: PREPARE_MS },
    memory: NO_MEMORY,
  });
  const ports = { db, clock, newId, signingKeys: tokens.signingKeys, tokenTtlMs: DAY_MS };
  const change = (values: StoredSettings) => ({ names: new Set(Object.keys(values) as SettingName[]), values });
  return {
    tokens,
    async project(values: StoredSettings = {}) {
      return (await createProject(ports, { act: TEST_ACT }, "Test", change(values))).id;
    },
    async changeProject(projectId: string, values: StoredSettings) {
      await updateProject(ports, { projectId, act: TEST_ACT }, { displayName: "", settings: change(values) });
    },
    async user(projectId: string, externalId = newId()) {
      const id = newId();
      const values = [projectId, id, externalId];
      await db.pool.query(
        "insert into users (project_id, id, external_id, create_time, update_time) values ($1, $2, $3, now(), now())",
        values,
      );
      return { id, externalId };
    },
    async deleteUser(projectId: string, id: string) {
      await db.pool.query("insert into deleted_users values ($1, $2, now())", [projectId, id]);
      await db.pool.query("delete from users where project_id = $1 and id = $2", [projectId, id]);
    },
    issue(projectId: string, userId: string, input: Partial<IssueTokenInput> = {}) {
      const key = { by: "id", value: userId } as const;
      return issueToken(tokens, { projectId, act: TEST_ACT }, { key, audience: [], stateless: false, ...input });
    },
  };
}

/** One process on a fresh database, with time standing still. */
export async function tokensFixture() {
  const db = await testDatabase();
  const clock = createFakeClock(Date.parse("2026-06-01T12:00:00.250Z"));
  const sealer = createSealer([randomBytes(32)]);
  return { db, clock, sealer, ...tokensOn(db, clock, sealer) };
}

/** Lets every statement fail as it does while the server is away, until the answer is called. */
export function takeAway(db: Database): () => void {
  const connect = vi.spyOn(db.pool, "connect").mockImplementation(() => {
    throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  });
  const send = vi.spyOn(db.lookUps, "send").mockReturnValue(false);
  return () => {
    connect.mockRestore();
    send.mockRestore();
  };
}

/** The reason that work fails for. */
export async function refusal(work: Promise<unknown>): Promise<Reason | "none"> {
  try {
    await work;
    return "none";
  } catch (error) {
    if (error instanceof MusterError) return error.reason;
    throw error;
  }
}
