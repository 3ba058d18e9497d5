import type { SqlEntityManager } from "@mikro-orm/postgresql";
import { appendAuditSql } from "../audit/append-audit.ts";
import type { Act } from "../db/act.ts";
import { type RecordedStatement, recorded, type WriteScope, write } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import { blockedSql, KEYS, type LockedUser, mailboxOf } from "../users/users.ts";
import { addressPrefix } from "./attempts/address-prefix.ts";
import type { PasswordChangePorts } from "./change-password.ts";
import { newResetToken, RESET_TTL_MS } from "./reset-token.ts";

export interface ResetPorts extends PasswordChangePorts {
  /** The link, with `{token}` and maybe `{project_id}` in it. */
  readonly passwordResetUrl: string | undefined;
  /** Takes from a locked user the identities whose providers do not say that they verified the email, as it is compared. */
  disownIdentities(em: SqlEntityManager, act: Act, user: LockedUser, emailKey: string, now: Date): Promise<void>;
}

/**
 * Keeps a reset for the user that has an email, unless it cannot be signed in, or has another email verified and this one not: $1 project, $2 email as it is compared, $3 time, $4 digest,
 * $5 when it ends. Gives the email as the user wrote it.
 */
const KEEP_RESET: RecordedStatement = recorded({
  name: "password_resets_keep",
  text: `
    with found as (
      select l.user_id, l.key, (select e ->> 'value' from jsonb_array_elements(u.locators) e where e ->> 'type' = 'email' and e ->> 'key' = l.key) as value
      from locators l join users u on u.project_id = l.project_id and u.id = l.user_id
      where l.project_id = $1 and l.type = 'email' and l.key = $2 and not ${blockedSql("u", "$3::timestamptz")}
        and (u.locators @> jsonb_build_array(jsonb_build_object('type', 'email', 'key', l.key, 'verified', true))
          or not u.locators @> '[{"type": "email", "verified": true}]')
    ), kept as (
      insert into password_resets (project_id, token_digest, user_id, email_key, create_time, expire_time)
      select $1, $4, user_id, key, $3, $5 from found
    ), audit as (${appendAuditSql({
      from: "found",
      projectId: "$1::uuid",
      userId: "found.user_id",
      createTime: "$3::timestamptz",
    })})
    select value from found`,
});

/**
 * Has a link to reset a password sent to an email, if somebody has it. All that depends on that is done after the answer.
 * PASSWORD_RESET_NOT_CONFIGURED, PROJECT_NOT_FOUND, RATE_LIMITED.
 */
export async function requestPasswordReset(
  ports: ResetPorts,
  { projectId, act }: Pick<WriteScope, "projectId" | "act">,
  email: string,
  address: string,
): Promise<void> {
  const { passwordResetUrl, background, projects } = ports;
  if (passwordResetUrl === undefined) throw new MusterError("PASSWORD_RESET_NOT_CONFIGURED");
  const { displayName } = await projects.get(projectId);
  background.add(async () => {
    const link = await keepReset(ports, { projectId, act }, email, address, passwordResetUrl);
    if (!link) return;
    const text = `Somebody asked to reset your password for ${displayName}. This link is good for an hour, and once:\n\n${link.url}\n\nIf it was not you, you can ignore this mail.\n`;
    await ports.senders.mail.send({ to: link.to, subject: `${displayName}: reset your password`, text });
  });
}

/** The link and where it goes; undefined where nobody has the email, or it was sent too many. */
async function keepReset(
  { db, clock, attempts }: ResetPorts,
  scope: WriteScope,
  email: string,
  address: string,
  template: string,
) {
  const { projectId } = scope;
  const emailKey = KEYS.email.comparable(email);
  if (!(await attempts.admitMail(projectId, emailKey, addressPrefix(address)))) return undefined;
  const { token, digest } = newResetToken();
  const now = clock.now();
  const values = [projectId, emailKey, new Date(now), digest, new Date(now + RESET_TTL_MS)];
  const [held] = await write<{ value: string }>(db, scope, KEEP_RESET, values);
  const to = held && mailboxOf(held.value);
  return to && { to, url: template.replaceAll("{project_id}", projectId).replace("{token}", token) };
}
