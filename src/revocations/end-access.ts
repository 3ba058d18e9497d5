import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { beforeTimeAt, forgetAfter, type RevocationCause, type RevocationSubject, type Subject } from "./revocation.ts";

/** An end of access as it is written. */
export interface EndOfAccess {
  readonly projectId: string;
  readonly subject: RevocationSubject;
  readonly cause: RevocationCause;
  readonly forgetAfterTime: Date;
  readonly createTime: Date;
}

/**
 * Ends access for every cause, in the transaction of `em`; the caller announces it once that is committed. What a user has that began
 * before `beforeTime` is dead from then on by the user's row: the caller holds its lock, and read the clock after it had it. Gives what
 * ended: of a user maybe what began a little later, too.
 */
export async function endAccess(em: SqlEntityManager, end: EndOfAccess): Promise<RevocationSubject> {
  const { projectId, cause, forgetAfterTime, createTime } = end;
  const subject = "userId" in end.subject ? await raiseValidFrom(em, projectId, end.subject) : end.subject;
  const columns = { projectId, ...subjectColumns(subject), cause, forgetAfterTime, createTime };
  const [names, values] = [Object.keys(columns).map(snakeCase), Object.values(columns)];
  const places = names.map(() => "?").join(", ");
  await em.execute(`insert into revocations (${names.join(", ")}) values (${places})`, values);
  return subject;
}

/**
 * Ends all that a user has at `now`, stateless tokens included. The caller holds the lock of the user's row, and read the clock after it
 * had it; `longestLifeMs` is the longest life of a token in the project. Gives the time before which all is ended that began.
 */
export async function endUserAccess(
  em: SqlEntityManager,
  user: { readonly projectId: string; readonly userId: string },
  {
    cause,
    now,
    longestLifeMs,
  }: { readonly cause: RevocationCause; readonly now: number; readonly longestLifeMs: number },
): Promise<Date> {
  const beforeTime = beforeTimeAt(now);
  const ended = await endAccess(em, {
    projectId: user.projectId,
    subject: { userId: user.userId, beforeTime },
    cause,
    forgetAfterTime: forgetAfter(beforeTime.getTime() + longestLifeMs),
    createTime: new Date(now),
  });
  return "userId" in ended ? ended.beforeTime : beforeTime;
}

async function raiseValidFrom(
  em: SqlEntityManager,
  projectId: string,
  { userId, beforeTime }: { readonly userId: string; readonly beforeTime: Date },
): Promise<RevocationSubject> {
  const raised: { valid_from: Date | string }[] = await em.execute(
    `with at as (select ?::timestamptz as time)
     update users u set tokens_valid_from = ${validFromSql("u", "at.time")} from at
     where u.project_id = ? and u.id = ? returning u.tokens_valid_from as valid_from`,
    [beforeTime, projectId, userId],
  );
  return { userId, beforeTime: new Date(raised[0]?.valid_from ?? beforeTime) };
}

/**
 * `endAccess` for a hot statement: the SQL that ends the access of one subject per row of `from`, as a part of a `with`. Each
 * argument but `cause` is SQL over the columns of `from`. Where the subject is a user that stays, the statement itself sets
 * `tokens_valid_from` to `validFromSql`, and gives what came of it as `beforeTime`: no two parts of a statement may write one row.
 */
export function endAccessSql(end: {
  from: string;
  where?: string;
  projectId: string;
  subject: Subject<string, string>;
  cause: RevocationCause;
  forgetAfterTime: string;
  createTime: string;
}): string {
  const columns = {
    projectId: end.projectId,
    ...subjectColumns(end.subject),
    cause: `'${end.cause}'`,
    forgetAfterTime: end.forgetAfterTime,
    createTime: end.createTime,
  };
  return `
  insert into revocations (${Object.keys(columns).map(snakeCase).join(", ")})
  select ${Object.values(columns).join(", ")} from ${end.from} ${end.where ? `where ${end.where}` : ""}`;
}

/**
 * SQL for the `tokens_valid_from` that a user of the row `user` takes when all that it has ends at the full second `beforeTime`. What is
 * issued in the second in which all was ended says that it is of the next one, so where all is ended again in that second, that has to go
 * too: a second later each time, and at most half a minute ahead, as a token of a later time would be refused.
 */
export const validFromSql = (user: string, beforeTime: string): string => `
  case when ${user}.tokens_valid_from >= ${beforeTime} then greatest(${user}.tokens_valid_from,
    least(${user}.tokens_valid_from + interval '1 second', ${beforeTime} + interval '30 seconds')) else ${beforeTime} end`;

/** The columns that are set: none for a whole project. */
function subjectColumns<Text, Time>(subject: Subject<Text, Time>): Record<string, Text | Time> {
  if ("wholeProject" in subject) return {};
  return { ...subject };
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
