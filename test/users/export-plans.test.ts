import pg from "pg";
import { expect, test, vi } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startApp } from "../support/start-app.ts";
import { exportOf } from "./export-fixture.ts";

const { db, project } = await startApp();

interface Node {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly Plans?: readonly Node[];
}

const flat = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(flat)];

/** The pages that an export of a user reads from a table. */
async function pagesOf(table: string, exporting: () => Promise<unknown>) {
  const asked = vi.spyOn(pg.Client.prototype, "query");
  await exporting();
  const queries = asked.mock.calls.map(([query]) => query as unknown as { text?: string; values: unknown[] });
  asked.mockRestore();
  return queries.flatMap(({ text, values }) => (text?.includes(`from ${table} where`) ? [{ text, values }] : []));
}

/** Rows of users, `count` each: $1 project, $2 users. */
const FILL: Readonly<Record<string, (count: number) => string>> = {
  events: (count) => `
    insert into events (project_id, id, type, user_id, data, create_time)
    select $1, gen_random_uuid(), 'user.deleted', id, '{}', now() from unnest($2::uuid[]) id, generate_series(1, ${count})`,
  tokens: (count) => `
    insert into tokens (project_id, id, user_id, issue_time, expire_time)
    select $1, gen_random_uuid(), id, now(), now() from unnest($2::uuid[]) id, generate_series(1, ${count})`,
  sessions: (count) => `
    insert into sessions (project_id, id, user_id, create_time, user_agent, address, sealed_seed, token_digest, last_active_time,
      expire_time, end_time, guest_end_time, refresh_expire_time, refresh_end_time)
    select $1, gen_random_uuid(), id, now() + n * interval '1 s', '', '', '', sha256(random()::text::bytea), now(), now(), now(), now(), now(), now()
    from unnest($2::uuid[]) id, generate_series(1, ${count}) n`,
  revocations: (count) => `
    insert into revocations (project_id, user_id, before_time, cause, forget_after_time, create_time)
    select $1, id, now(), 'USER_SUSPENDED', now(), now() from unnest($2::uuid[]) id, generate_series(1, ${count})`,
};

test.each(Object.entries(FILL))(
  "every page of a user's %s is read in order from the index on its own, whether it has many or hardly any",
  async (table, fill) => {
    const { id: projectId, system } = await project();
    const made = await system(UserService).batchUpsertUsers({ users: Array.from({ length: 1_000 }, () => ({})) });
    const [many = "", few = "", ...others] = made.results.map(({ user }) => user?.id ?? "");
    await db.pool.query(fill(5_000), [projectId, [many]]);
    await db.pool.query(fill(1), [projectId, [few]]);
    // One who has a large part of a table may be read as well in the order of all.
    await db.pool.query(fill(50), [projectId, others]);
    await db.pool.query(`vacuum analyze ${table}`);
    for (const [id, least] of [
      [many, 50],
      [few, 1],
    ] as const) {
      const pages = await pagesOf(table, () => exportOf(system(UserService), id));
      expect(pages.length).toBeGreaterThanOrEqual(least);
      for (const { text, values } of pages) {
        const { rows } = await db.pool.query({ text: `explain (format json) ${text}`, values });
        const nodes = flat((rows[0] as { "QUERY PLAN": [{ Plan: Node }] })["QUERY PLAN"][0].Plan);
        expect(nodes.map((node) => node["Index Name"] ?? node["Node Type"])).toEqual(["Limit", `${table}_of_user`]);
      }
    }
  },
);
