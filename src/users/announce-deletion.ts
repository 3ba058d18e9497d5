/** Hears, after it is committed, that a user is gone, so that those who watch it learn of it soon. Never fails the call. */
export type AnnounceDeletion = (projectId: string, userId: string) => void;
