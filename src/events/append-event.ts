import type { SqlEntityManager } from "@mikro-orm/postgresql";
import type { Act } from "../db/act.ts";

/** An event as it is written. */
export interface NewEvent {
  readonly projectId: string;
  readonly id: string;
  /** Such as `user.created`. */
  readonly type: string;
  /** The user it is about. */
  readonly userId?: string;
  /** The typed message of `event.proto` in JSON, with the field names of the proto. */
  readonly data: object;
  /** What is being done, whose origin the event names. */
  readonly act: Pick<Act, "facts">;
  readonly createTime: Date;
}

/** The channel of hints that a project may have events that are new; the payload is its id. */
export const EVENTS_CHANNEL = "muster_events";

/** Appends an event in the transaction of `em`: it exists if and only if the change does. */
export async function appendEvent(em: SqlEntityManager, event: NewEvent): Promise<void> {
  await em.execute(
    `insert into events (project_id, id, type, user_id, data, origin, create_time) values (?, ?, ?, ?, ?, ?::jsonb ->> 'origin', ?)`,
    [
      event.projectId,
      event.id,
      event.type,
      event.userId ?? null,
      JSON.stringify(event.data),
      event.act.facts,
      event.createTime,
    ],
  );
}

/** The origin of the act that a recorded statement takes. */
export const ORIGIN_OF_ACT = "$act ->> 'origin'";

/**
 * `appendEvent` for a hot statement: the SQL that appends one event per row of `from`, as a part of a `with`.
 * Each argument is SQL over the columns of `from`.
 */
export const appendEventSql = (event: {
  from: string;
  where?: string;
  projectId: string;
  id: string;
  /** One of two where that depends on the row. */
  type: string | { readonly when: string; readonly is: string; readonly otherwise: string };
  userId: string;
  data: string;
  createTime: string;
  /** `ORIGIN_OF_ACT`, so that what syncs both ways does not go round in circles. */
  origin: string;
}): string => `
  insert into events (project_id, id, type, user_id, data, origin, create_time)
  select ${event.projectId}, ${event.id}, ${typeSql(event.type)}, ${event.userId}, ${event.data}, ${event.origin}, ${event.createTime}
  from ${event.from} ${event.where ? `where ${event.where}` : ""}`;

const typeSql = (type: Parameters<typeof appendEventSql>[0]["type"]): string =>
  typeof type === "string" ? `'${type}'` : `case when ${type.when} then '${type.is}' else '${type.otherwise}' end`;
