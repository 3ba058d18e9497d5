/** What other features may use of this one. */

export { adoptExternalId } from "./adopt-external-id.ts";
export type { AnnounceDeletion } from "./announce-deletion.ts";
export type { AttributeDefinition, AttributeDefinitions, DefinitionsByKey } from "./attribute-definitions.ts";
export { createUser, promoteGuest } from "./create-user.ts";
export { newUserStatement } from "./create-user-statement.ts";
export { mailboxOf } from "./email-address.ts";
export {
  deletedAmong,
  findUserIds,
  getUser,
  type ProjectScope,
  requireUser,
  type UserIdentity,
  userIdsAfter,
} from "./find-user.ts";
export { markVerified, withLockedUser } from "./held-locators.ts";
export { keepPassword, type NewPassword } from "./passwords/keep-password.ts";
export { keepPasswordSql } from "./passwords/password-statements.ts";
export type { Passwords, VerifiedPassword } from "./passwords/passwords.ts";
export type { ProfileChange } from "./profile.ts";
export { blockedSql } from "./suspension.ts";
export {
  type SettledUser,
  settleUser,
  type UpsertedUser,
  type UserPorts,
  type WritePorts,
  writeUser,
} from "./upsert-user.ts";
export type { User as LockedUser } from "./user.entity.ts";
export { tellUpdated, type UserUpdate } from "./user-events.ts";
export { KEYS, type UserKey } from "./user-key.ts";
export { asRowOf as userRowSql, qualified as userColumns, type UserRow } from "./user-statements.ts";
