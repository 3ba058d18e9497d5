import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { AuditEntrySchema } from "../gen/muster/v1/audit_entry_pb.ts";
import type { ListAuditEntriesRequest } from "../gen/muster/v1/audit_service_pb.ts";
import type { AuditFilter, AuditRecord } from "./list-audit-entries.ts";

/** What entries are asked for by. */
export const auditFilterOf = (request: ListAuditEntriesRequest): AuditFilter => ({
  userId: request.userId || undefined,
  actorKind: request.actorKind || undefined,
  actorId: request.actorId || undefined,
  method: request.method || undefined,
  afterTime: request.afterTime && timestampDate(request.afterTime),
  beforeTime: request.beforeTime && timestampDate(request.beforeTime),
});

/** An audit entry, as the contract has it. */
export const auditEntryMessage = (entry: AuditRecord): MessageInitShape<typeof AuditEntrySchema> => ({
  place: `${entry.transactionId}/${entry.sequence}`,
  createTime: timestampFromDate(entry.createTime),
  method: entry.method,
  actorKind: entry.actorKind,
  actorId: entry.actorId ?? "",
  address: entry.address ?? "",
  requestId: entry.requestId ?? "",
  origin: entry.origin ?? "",
  userId: entry.userId ?? "",
  target: entry.target ?? "",
  ...(entry.details && { details: entry.details as JsonObject }),
  sealed: entry.sealed,
});
