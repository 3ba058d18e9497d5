/** What other features may use of this one. */

export type { AnnounceChange } from "./announce-change.ts";
export type { AttributeDefinition, AttributeDefinitions, DefinitionsByKey } from "./attribute-definitions.ts";
export { findUserIds, getUser, type ProjectScope, requireUser, type UserIdentity } from "./find-user.ts";
export { keepPasswordSql } from "./passwords/password-statements.ts";
export type { Passwords, VerifiedPassword } from "./passwords/passwords.ts";
export { blockedSql, isBlocked, type SignInBlock, signInBlocksOf } from "./suspension.ts";
export type { Suspension } from "./user.entity.ts";
export { KEYS, type UserKey } from "./user-key.ts";
export type { UserRow } from "./user-statements.ts";
