import pg from "pg";
import { expect, test, vi } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startApp } from "../support/start-app.ts";
import { addEvents, exportOf } from "./export-fixture.ts";

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

test.each(["events", "tokens"])(
  "every page of a user's %s is read in order from the index on its own, whether it has many or hardly any",
  async (table) => {
    const { id: projectId, system, signedInUser } = await project();
    const { id: many } = await signedInUser("many");
    const { id: few } = await signedInUser("few");
    await db.pool.query(
      `insert into tokens (project_id, id, user_id, issue_time, expire_time)
       select $1, gen_random_uuid(), $2, now(), now() from generate_series(1, 5000)`,
      [projectId, many],
    );
    await addEvents(db, projectId, many, 5_000);
    const others = await system(UserService).batchUpsertUsers({
      users: Array.from({ length: 1_000 }, (_, n) => ({ externalId: `other-${n}` })),
    });
    await db.pool.query(
      `insert into tokens (project_id, id, user_id, issue_time, expire_time)
       select $1, gen_random_uuid(), id, now(), now() from unnest($2::uuid[]) id, generate_series(1, 10)`,
      [projectId, others.results.map(({ user }) => user?.id)],
    );
    await db.pool.query("vacuum analyze events");
    await db.pool.query("vacuum analyze tokens");
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
