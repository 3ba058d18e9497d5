import { query, type Statement } from "../db/statement.ts";
import type { PageTokens } from "../page-tokens.ts";
import { type ProjectScope, requireUser, type UserKey } from "../users/users.ts";
import { recordOf, type TokenReadPorts, type TokenRecord, type TokenRow, tokenColumns } from "./get-token.ts";

export interface ListTokensPorts extends TokenReadPorts {
  readonly pageTokens: PageTokens;
}

export interface ListTokensInput {
  readonly key: UserKey;
  /** 0–1,000; 0: 50. */
  readonly pageSize: number;
  /** Empty: the first page. */
  readonly pageToken: string;
}

const DEFAULT_PAGE = 50;
const LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/** $1 project, $2 user, $3 the token before, $4 limit, $5 now. Ids rise with the time of issue. */
const LIST: Statement = {
  name: "tokens_list",
  text: `select ${tokenColumns("$5::timestamptz")} from tokens t join users u on u.project_id = t.project_id and u.id = t.user_id
    where t.project_id = $1 and t.user_id = $2 and t.id < $3 order by t.id desc limit $4`,
};

/** A page of what is kept of a user's tokens, newest first. USER_NOT_FOUND, USER_DELETED, REQUEST_INVALID for a page token of another list. */
export async function listTokens(
  { db, clock, pageTokens }: ListTokensPorts,
  scope: ProjectScope,
  { key, pageSize, pageToken }: ListTokensInput,
): Promise<{ tokens: TokenRecord[]; nextPageToken: string }> {
  const { projectId, signal } = scope;
  const { id } = await requireUser(db, scope, key);
  const context = { list: "tokens", projectId, query: id };
  const [after] = pageToken ? pageTokens.read(context, pageToken) : [LAST_ID];
  const size = pageSize || DEFAULT_PAGE;
  const values = [projectId, id, after, size + 1, new Date(clock.now())];
  const rows = await query<TokenRow>(db.pool, LIST, values, signal);
  const last = rows[size - 1];
  return {
    tokens: rows.slice(0, size).map(recordOf),
    nextPageToken: last && rows.length > size ? pageTokens.issue(context, [last.tokenId]) : "",
  };
}
