/** What other features may use of this one. */
export type { AttributeDefinition, AttributeDefinitions, DefinitionsByKey } from "./attribute-definitions.ts";
export type { AnnounceDeletion } from "./delete-user.ts";
export { findUserIds, getUser, type ProjectScope, requireUser, type UserIdentity } from "./find-user.ts";
export { KEYS, type UserKey } from "./user-key.ts";
export type { UserRow } from "./user-statements.ts";
