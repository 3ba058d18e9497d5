/**
 * SQL that says whether a suspension keeps the user of a row of `users` from being signed in at `now`. Costs nothing where there are
 * none. That a suspension has ended what there was is said by `tokens_valid_from`, also after it is over.
 */
export const blockedSql = (user: string, now: string): string => `(${user}.suspensions <> '[]' and exists (
  select from jsonb_array_elements(${user}.suspensions) s
  where (s ->> 'blocks_sign_in')::boolean and (s ->> 'start_time')::timestamptz <= ${now}
    and coalesce(${now} < (s ->> 'end_time')::timestamptz, true)))`;
