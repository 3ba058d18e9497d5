/** THE list of the types of events that can be asked for: for each a message of `event.proto`. */
const EVENT_TYPES = [
  "user.created",
  "user.updated",
  "user.deleted",
  "user.suspended",
  "user.suspension_lifted",
  "identity.linked",
  "identity.unlinked",
  "session.created",
  "session.ended",
  "session.reuse_detected",
  "token.revoked",
  "signing_key.rotated",
  "access_key.created",
  "access_key.revoked",
  "project.updated",
  "webhook.disabled",
];

/** Whether there are events of the type or, of `user.*`, of a type that begins so. */
export const areThereEvents = (pattern: string): boolean =>
  pattern.endsWith(".*")
    ? EVENT_TYPES.some((type) => type.startsWith(pattern.slice(0, -1)))
    : EVENT_TYPES.includes(pattern);
