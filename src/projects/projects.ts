/** What other features may use of this one. */
export { MAX_AGE_MS, type ProjectDirectory, type ProjectRecord, STALE_MS } from "./project-directory.ts";
export type { SigningAlgorithm } from "./project.entity.ts";
export type { ProjectSettings } from "./project-settings.ts";
