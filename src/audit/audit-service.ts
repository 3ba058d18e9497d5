import type { ServiceImpl } from "@connectrpc/connect";
import type { AuditService } from "../gen/muster/v1/audit_service_pb.ts";
import { namedProject } from "../rpc/caller.ts";
import { auditEntryMessage, auditFilterOf } from "./audit-message.ts";
import { type ListAuditPorts, listAuditEntries } from "./list-audit-entries.ts";

/** AuditService over its use cases. */
export function auditService(ports: ListAuditPorts): ServiceImpl<typeof AuditService> {
  return {
    async listAuditEntries(request, context) {
      const scope = { projectId: namedProject(context, request.projectId), signal: context.signal };
      const { pageSize, pageToken } = request;
      const input = { filter: auditFilterOf(request), pageSize, pageToken };
      const { entries, nextPageToken } = await listAuditEntries(ports, scope, input);
      return { entries: entries.map(auditEntryMessage), nextPageToken };
    },
  };
}
