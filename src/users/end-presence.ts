/** Ends the presence of users whose suspension starts, and tells those who watch them. Rejects where that could not be done. */
export type EndPresence = (users: readonly { readonly projectId: string; readonly userId: string }[]) => Promise<void>;
