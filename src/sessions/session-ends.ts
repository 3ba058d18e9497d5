import type { ProjectSettings } from "../projects/projects.ts";

export const DAY_MS = 86_400_000;
/** A session is prolonged in the database at most this often, in milliseconds: an end is so much later than what is promised. */
export const PROLONG_MS = 60_000;

/** When a session that is used now ends if nothing more is done with it. */
export const sessionEnd = ({ sessionTtlMs }: ProjectSettings, now: number): Date =>
  new Date(now + sessionTtlMs + PROLONG_MS);

/** The ends that what is made or refreshed now has by the settings. */
export const latestEnds = (settings: ProjectSettings, now: number) => ({
  session: sessionEnd(settings, now),
  sessionAtLatest: new Date(now + settings.sessionTtlMaxMs),
  refresh: new Date(now + settings.refreshTokenTtlMs),
  guest: new Date(now + settings.guestTtlMs),
});
