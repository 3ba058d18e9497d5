import pg from "pg";
import { onTestFinished } from "vitest";
import { connectionOptions, type Database } from "../../src/db/orm.ts";
import type { Event } from "../../src/gen/muster/v1/event_pb.ts";
import { EventService } from "../../src/gen/muster/v1/event_service_pb.ts";
import { settle } from "../support/settled-events.ts";
import type { TestApp, TestProject } from "../support/start-app.ts";

/** A connection for transactions that the test holds open; closed with the test. */
export async function openConnection(db: Database): Promise<pg.Client> {
  const connection = new pg.Client(connectionOptions(db.address));
  await connection.connect();
  onTestFinished(() => connection.end());
  return connection;
}

/** A project without a history: what made it is no part of that. */
export async function emptyProject(app: Pick<TestApp, "db" | "project">, settings?: Parameters<TestApp["project"]>[0]) {
  const project = await app.project(settings);
  await app.db.pool.query("delete from events where project_id = $1", [project.id]);
  return project;
}

export interface AppendOptions {
  readonly count?: number;
  readonly type?: string;
  readonly userId?: string;
  readonly time?: Date;
}

/** Appends events in one transaction, or in that of the connection; each has its number, from `n` on, in its data. */
export async function append(
  connection: Pick<pg.Client, "query">,
  projectId: string,
  n: number,
  { count = 1, type = "test.counted", userId, time = new Date() }: AppendOptions = {},
): Promise<void> {
  await connection.query(
    `insert into events (project_id, id, type, user_id, data, create_time)
     select $1, gen_random_uuid(), $2, $3, jsonb_build_object('n', i), $4 from generate_series($5::int, $5::int + $6 - 1) i order by i`,
    [projectId, type, userId ?? null, time, n, count],
  );
}

/** The numbers of appended events, in order. */
export const numbersOf = (events: readonly Event[]): number[] => events.map(({ data }) => Number(data?.["n"]));

export interface ListRequest {
  readonly types?: string[];
  readonly userId?: string;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

/** Lists page by page until there is no more, once all that was written is settled; gives the pages' sizes and the last cursor besides. */
export async function listAll(app: Pick<TestApp, "db">, project: TestProject, request: ListRequest = {}) {
  await settle(app.db, project.id);
  const service = project.system(EventService);
  const events: Event[] = [];
  const sizes: number[] = [];
  for (let pageToken = request.pageToken ?? ""; ; ) {
    const page = await service.listEvents({ ...request, pageToken });
    events.push(...page.events);
    sizes.push(page.events.length);
    if (page.nextPageToken === "") return { events, sizes, cursor: page.cursor };
    pageToken = page.nextPageToken;
  }
}
