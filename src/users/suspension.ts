import type { Suspension } from "./user.entity.ts";

/** A span in which a user cannot be signed in: from `startAt` until before `endAt`, in milliseconds since the epoch. */
export interface SignInBlock {
  readonly startAt: number;
  /** Infinity: without end. */
  readonly endAt: number;
}

/** The spans in which suspensions keep their user from being signed in. */
export const signInBlocksOf = (suspensions: readonly Suspension[]): SignInBlock[] =>
  suspensions
    .filter(({ blocks_sign_in }) => blocks_sign_in)
    .map(({ start_time, end_time }) => ({
      startAt: Date.parse(start_time),
      endAt: end_time === undefined ? Number.POSITIVE_INFINITY : Date.parse(end_time),
    }));

/** Whether one of the spans holds the moment, in milliseconds since the epoch. */
export const isBlocked = (blocks: readonly SignInBlock[], now: number): boolean =>
  blocks.some(({ startAt, endAt }) => startAt <= now && now < endAt);

/** The same as SQL: whether the user of a row of `users` is kept from being signed in at `now`. Costs nothing where there are none. */
export const blockedSql = (user: string, now: string): string => `(${user}.suspensions <> '[]' and exists (
  select from jsonb_array_elements(${user}.suspensions) s
  where (s ->> 'blocks_sign_in')::boolean and (s ->> 'start_time')::timestamptz <= ${now}
    and coalesce(${now} < (s ->> 'end_time')::timestamptz, true)))`;
