/** A session as the statements give it. */
export interface SessionRow {
  readonly sessionId: string;
  readonly userId: string;
  readonly signInTime: Date;
  readonly userAgent: string;
  readonly address: string;
  readonly lastActiveTime: Date;
  /** When the session token ends unless a request prolongs it. */
  readonly expireTime: Date;
  /** When the session token ends whatever is done with it. */
  readonly endTime: Date;
  readonly refreshExpireTime: Date;
}

/** What a session's tokens are derived from. */
export interface SessionSecrets {
  readonly sealedSeed: Buffer;
  /** Which session token of the session is the one that counts, from 0. */
  readonly generation: number;
  /** Which refresh token of the session comes next, from 0. */
  readonly refreshCounter: number;
  readonly refreshRotateTime: Date | null;
}

type Ends = "expireTime" | "endTime" | "refreshExpireTime";
const ENDS: Readonly<Record<Ends, string>> = {
  expireTime: "expire_time",
  endTime: "end_time",
  refreshExpireTime: "refresh_expire_time",
};
const ROW: Readonly<Record<Exclude<keyof SessionRow, Ends> | keyof SessionSecrets, string>> = {
  sessionId: "id",
  userId: "user_id",
  signInTime: "create_time",
  userAgent: "user_agent",
  address: "address",
  lastActiveTime: "last_active_time",
  sealedSeed: "sealed_seed",
  generation: "generation",
  refreshCounter: "refresh_counter",
  refreshRotateTime: "refresh_rotate_time",
};

/**
 * One of the ends of a session. While its user is a guest all of them come when the guest's time is over; that a guest becomes a full user takes
 * this away without a write.
 */
export const endSql = (end: Ends, session: string, user: string): string =>
  `least(${session}.${ENDS[end]}, case when ${user}.guest then ${session}.guest_end_time end)`;

/** What a select gives of a row of `sessions` and that of its user for a SessionRow with its SessionSecrets. */
export const rowSql = (session: string, user: string): string =>
  [
    ...Object.entries(ROW).map(([name, column]) => `${session}.${column} as "${name}"`),
    ...(Object.keys(ENDS) as Ends[]).map((end) => `${endSql(end, session, user)} as "${end}"`),
  ].join(", ");

/** A session lives while its user's watermark lies before it. */
export const isStandingSql = (session: string, user: string): string =>
  `(${user}.tokens_valid_from is null or ${session}.create_time >= ${user}.tokens_valid_from)`;
