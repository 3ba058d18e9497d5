import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type AuditEntry, AuditEntrySchema } from "../gen/muster/v1/audit_entry_pb.ts";
import type { ListAuditEntriesRequestSchema } from "../gen/muster/v1/audit_service_pb.ts";
import { connectFromEnvironment } from "./api-client.ts";
import type { Host } from "./host.ts";
import { printTable, recordOf } from "./print.ts";
import { type ProjectOptions, projectOf } from "./project-options.ts";

export interface ListOptions extends ProjectOptions {
  readonly user?: string;
  readonly actor?: string;
  readonly method?: string;
  readonly after?: Date;
  readonly before?: Date;
  readonly limit: number;
}

const MOST = 1_000;
const COLUMNS = ["create_time", "method", "actor_kind", "actor_id", "address", "user_id", "target", "sealed", "place"];

/** Prints the newest entries of a project that are asked for. */
export async function runList(host: Host, options: ListOptions): Promise<void> {
  const server = await connectFromEnvironment(host, options.url);
  const request: MessageInitShape<typeof ListAuditEntriesRequestSchema> = {
    projectId: projectOf(server, options),
    userId: options.user ?? "",
    actorId: options.actor ?? "",
    method: options.method ?? "",
    ...(options.after && { afterTime: timestampFromDate(options.after) }),
    ...(options.before && { beforeTime: timestampFromDate(options.before) }),
  };
  const found: AuditEntry[] = [];
  // Pages may be empty with more to come.
  for (let pageToken: string | undefined; pageToken !== "" && found.length < options.limit; ) {
    const pageSize = Math.min(options.limit - found.length, MOST);
    const page = await server.audit.listAuditEntries({ ...request, pageSize, pageToken: pageToken ?? "" });
    found.push(...page.entries);
    pageToken = page.nextPageToken;
  }
  const records = found.map((entry) => recordOf(AuditEntrySchema, entry));
  printTable(host, options.json ?? false, records, COLUMNS);
}

/** A time as in RFC 3339, or a date, which begins at midnight of UTC. */
export function timeOption(text: string): Date {
  const isTime = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?$/.test(text);
  const time = new Date(isTime ? text : Number.NaN);
  if (Number.isNaN(time.getTime()))
    throw new Error("must be a date or a time, such as 2026-03-01 or 2026-03-01T12:00:00Z");
  return time;
}
