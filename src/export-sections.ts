import { createRegistry, type JsonObject } from "@bufbuild/protobuf";
import { AUDIT_EXPORT } from "./audit/audit-export.ts";
import { EVENTS_EXPORT } from "./events/events-export.ts";
import type { ExportSection } from "./export/export-section.ts";
import { IDENTITIES_EXPORT } from "./external-auth/identities-export.ts";
import { file_muster_v1_event } from "./gen/muster/v1/event_pb.ts";
import { UserSchema } from "./gen/muster/v1/user_pb.ts";
import type { PresenceEngine } from "./presence/engine.ts";
import { presenceExport } from "./presence/presence-export.ts";
import { REVOCATIONS_EXPORT } from "./revocations/revocations-export.ts";
import { readableJson } from "./rpc/readable-json.ts";
import { PASSWORD_RESETS_EXPORT } from "./sessions/password-resets-export.ts";
import { SESSIONS_EXPORT } from "./sessions/sessions-export.ts";
import { TOKENS_EXPORT } from "./tokens/tokens-export.ts";
import { AVATAR_EXPORT } from "./users/avatar-export.ts";
import type { ExportPorts } from "./users/export-user.ts";
import { LOCATOR_CODES_EXPORT } from "./users/locator-codes-export.ts";
import { PASSWORD_EXPORT } from "./users/password-export.ts";
import { USER_EXPORTS } from "./users/user-export.ts";
import { DELIVERIES_EXPORT } from "./webhooks/deliveries-export.ts";

/** What every feature holds of a user: the members of an export, in their order. */
const sectionsWith = (engine?: PresenceEngine): readonly ExportSection[] => [
  ...USER_EXPORTS,
  PASSWORD_EXPORT,
  AVATAR_EXPORT,
  presenceExport(engine),
  LOCATOR_CODES_EXPORT,
  IDENTITIES_EXPORT,
  SESSIONS_EXPORT,
  PASSWORD_RESETS_EXPORT,
  TOKENS_EXPORT,
  REVOCATIONS_EXPORT,
  EVENTS_EXPORT,
  AUDIT_EXPORT,
  DELIVERIES_EXPORT,
];

/** The messages of the contract that stand in an export. */
const MESSAGES = createRegistry(UserSchema, file_muster_v1_event);

/** The sections over the database alone. A table that none of them names fails a test. */
export const EXPORT_SECTIONS = sectionsWith();

/** What ExportUser stands on beside the database. */
export const exportPorts = (engine: PresenceEngine): Pick<ExportPorts, "exportSections" | "readableJson"> => ({
  exportSections: sectionsWith(engine),
  readableJson(typeName, message, viewer) {
    const schema = MESSAGES.getMessage(typeName);
    return schema && readableJson(schema, message as JsonObject, viewer);
  },
});
