/**
 * Hears, after it is committed, of a change of whether a user is there and may be signed in, so that those who watch the user, or
 * as the user, learn of it soon. Never fails the call.
 */
export type AnnounceChange = (projectId: string, userId: string) => void;
