/** What other features may use of this one. */

export type { SigningAlgorithm } from "./project.entity.ts";
export { MAX_AGE_MS, type ProjectDirectory, type ProjectRecord, STALE_MS } from "./project-directory.ts";
export type { ProjectSettings } from "./project-settings.ts";
export { matchesPattern } from "./user-id-pattern.ts";
