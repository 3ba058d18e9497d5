import type { Clock } from "../clock.ts";
import type { Database } from "../db/orm.ts";
import { query, type Statement } from "../db/statement.ts";
import { MusterError } from "../errors.ts";
import type { ProjectScope } from "../users/users.ts";
import { type KeyState, type KeyTimes, keyStateAt } from "./key-life.ts";
import type { SigningKey } from "./signing-key.entity.ts";

/** A signing key without its private half. */
export type SigningKeyRecord = Omit<SigningKey, "projectId" | "sealedPrivateKey">;

/** A key as it is listed. */
export interface ListedSigningKey extends SigningKeyRecord {
  readonly state: Exclude<KeyState, "GONE">;
  /** How many stored tokens it signed that have neither ended nor been revoked. */
  readonly liveTokens: number;
}

const LIST: Statement = {
  name: "list_signing_keys",
  text: `select k.id, k.algorithm, k.public_jwk as "publicJwk", k.create_time as "createTime", k.activate_time as "activateTime",
      k.retire_time as "retireTime", k.last_expire_time as "lastExpireTime",
      (select count(*) from tokens t join users u on u.project_id = t.project_id and u.id = t.user_id
        where t.project_id = k.project_id and t.key_id = k.id and t.expire_time > $2 and t.revoke_time is null
          and coalesce(t.issue_time >= u.tokens_valid_from, true)) as "liveTokens"
    from signing_keys k where k.project_id = $1
    order by k.activate_time desc, k.create_time desc, k.id desc`,
};

/** The keys of the scope's project that are not gone, the last to sign first. PROJECT_NOT_FOUND. */
export async function listSigningKeys(
  { db, clock }: { readonly db: Database; readonly clock: Clock },
  scope: ProjectScope,
): Promise<ListedSigningKey[]> {
  const now = clock.now();
  type Row = SigningKeyRecord & { liveTokens: number };
  const rows = await query<Row>(db.pool, LIST, [scope.projectId, new Date(now)], scope.signal);
  if (rows.length === 0) throw new MusterError("PROJECT_NOT_FOUND");
  return rows.flatMap((row) => {
    const state = keyStateAt(keyTimes(row), now);
    return state === "GONE" ? [] : [{ ...row, state }];
  });
}

const keyTimes = ({ activateTime, retireTime, lastExpireTime }: SigningKeyRecord): KeyTimes => ({
  activateTime: activateTime.getTime(),
  retireTime: retireTime?.getTime(),
  lastExpireTime: lastExpireTime.getTime(),
});
