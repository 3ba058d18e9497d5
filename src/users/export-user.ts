import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { transaction } from "../db/transaction.ts";
import { chunksOf, exportDocument } from "../export/export-document.ts";
import type {
  ExportReader,
  ExportSection,
  Json,
  JsonMap,
  ListSection,
  ValueSection,
} from "../export/export-section.ts";
import type { Sealer } from "../sealing.ts";
import { type AttributeDefinitions, mayRead } from "./attribute-definitions.ts";
import { notFound, type ProjectScope, requireUser } from "./find-user.ts";
import type { UserKey } from "./user-key.ts";

export interface ExportPorts {
  readonly db: Database;
  readonly clock: Clock;
  readonly sealer: Sealer;
  readonly attributes: AttributeDefinitions;
  readonly avatars: { readonly publicUrl: string };
  /** What each feature holds of a user, in the order of the document. */
  readonly exportSections: readonly ExportSection[];
  /** What a user may see of a message of the contract in JSON; undefined: there is no such message. */
  readableJson(
    typeName: string,
    message: JsonMap,
    viewer: { readonly userId: string; mayReadEntry(key: string, aboutItself: boolean): boolean },
  ): JsonMap | undefined;
}

export interface ExportInput {
  readonly projectId: string;
  readonly key: UserKey;
  /** The user that exports itself; undefined: `.system`. */
  readonly itself: string | undefined;
}

/** What ends an export from outside. */
export interface ExportSignals {
  /** The caller has left. */
  readonly left: AbortSignal;
  /** The server ends the stream; the reason is what it fails with. */
  readonly ended: AbortSignal;
}

/** The form of the document: it rises when a member changes its meaning or goes, not when one is added. */
const VERSION = 1;
const CHUNK_BYTES = 65_536;

/** Whether the user is there: $1 project, $2 user. */
const STANDING: Statement = {
  name: "users_export_standing",
  text: "select from users where project_id = $1 and id = $2",
};

/**
 * All that is held about a user, as the bytes of one JSON document. No transaction outlives a page: values are of one moment, events
 * those that were committed by then, and other lists are as they are when their reader gets to them. One page is in memory at a time.
 * @throws USER_NOT_FOUND, USER_DELETED, also in the middle; the reason of the signal that ended it
 */
export async function* exportUser(
  ports: ExportPorts,
  { projectId, key, itself }: ExportInput,
  signals: ExportSignals,
): AsyncGenerator<Uint8Array> {
  const { db, clock, sealer, exportSections } = ports;
  const signal = AbortSignal.any([signals.left, signals.ended]);
  const scope = { projectId, signal };
  const exportTime = new Date(clock.now()).toISOString();
  const { id } = await requireUser(db, scope, key);
  const reader = await readerOf(ports, projectId, itself);
  const { snapshot, values } = await readValues(db, scope, reader, id, exportSections.filter(isValue));
  const pieces = exportDocument({
    head: { version: VERSION, export_time: exportTime, project_id: projectId, ...values },
    lists: exportSections.filter(isList),
    scope: { ...reader, db, signal, sealer, snapshot },
    userId: id,
    requireStanding: () => requireStanding(db, scope, id),
  });
  for await (const chunk of chunksOf(pieces, CHUNK_BYTES)) {
    signal.throwIfAborted();
    yield chunk;
  }
}

const isValue = (section: ExportSection): section is ValueSection => section.kind === "value";
const isList = (section: ExportSection): section is ListSection => section.kind === "list";

/** `.system` reads everything, a user what the declarations and the project's attribute definitions let it. */
async function readerOf(
  { attributes, avatars, readableJson }: ExportPorts,
  projectId: string,
  userId: string | undefined,
): Promise<ExportReader> {
  const { publicUrl } = avatars;
  if (userId === undefined) return { projectId, publicUrl, visible: (_, message) => message };
  const definitions = await attributes.of(projectId);
  const mayReadEntry = (key: string, aboutItself: boolean) => mayRead(definitions.get(key), aboutItself);
  const visible: ExportReader["visible"] = (typeName, message) =>
    readableJson(typeName, message, { userId, mayReadEntry }) ?? null;
  return { projectId, publicUrl, visible };
}

/** The values, all of one snapshot, and that snapshot, by which it can be told later what had been committed. */
function readValues(
  db: Database,
  scope: ProjectScope,
  reader: ExportReader,
  userId: string,
  sections: readonly ValueSection[],
): Promise<{ snapshot: string; values: JsonMap }> {
  return transaction(db, scope, async (em) => {
    await em.execute("set transaction isolation level repeatable read, read only");
    const [row] = await em.execute<{ snapshot: string }[]>("select pg_current_snapshot()::text as snapshot");
    const values: [string, Json][] = [];
    for (const section of sections) values.push([section.name, await section.read(em, reader, userId)]);
    return { snapshot: row?.snapshot ?? "", values: Object.fromEntries(values) };
  });
}

async function requireStanding(db: Database, scope: ProjectScope, id: string): Promise<void> {
  const found = await query(db.pool, STANDING, [scope.projectId, id], scope.signal);
  if (found.length === 0) return notFound(db, scope, { by: "id", value: id });
}
