/** What other features may use of this one. */

export { lockProject } from "./lock-project.ts";
export type { SigningAlgorithm } from "./project.entity.ts";
export { LAST_KNOWN, type ProjectDirectory, type ProjectRecord } from "./project-directory.ts";
export { eventRetentionMsSql, guestTtlMsSql, type ProjectSettings, tokenTtlMaxMsSql } from "./project-settings.ts";
export { matchesPattern } from "./user-id-pattern.ts";
