import type { WriteScope } from "../db/recorded.ts";
import { MusterError } from "../errors.ts";
import type { WritePorts } from "../users/users.ts";
import { CLAIM_CHECKS, WRITING_CHECKS } from "./check-token-claims.ts";
import { KEY_CHECKS } from "./check-token-key.ts";
import type { CheckName, Examination, ExternalTokenPorts } from "./external-token-ports.ts";

/** THE checks of a JWT that proves a user, but for those that write. */
const CHECKS = [...KEY_CHECKS, ...CLAIM_CHECKS];

/** A check as it is made: whichever it is, with what it needs. */
export interface BoundCheck {
  readonly name: CheckName;
  readonly needs: readonly CheckName[];
  /** Gives what was found; throws a MusterError. */
  run(): Promise<string>;
}

/** Begins to look at a JWT. EXTERNAL_JWT_MISSING, PROJECT_NOT_FOUND. */
export async function examinationOf(
  { clock, projects }: ExternalTokenPorts,
  scope: WriteScope,
  token: string,
): Promise<Examination> {
  const { settings } = await projects.get(scope.projectId);
  if (token === "") throw new MusterError("EXTERNAL_JWT_MISSING");
  return { token, scope, settings, nowMs: clock.now() };
}

/** The checks that only look. */
export const lookingChecks = (ports: ExternalTokenPorts, seen: Examination): BoundCheck[] =>
  CHECKS.map(({ name, needs, check }) => ({ name, needs, run: async () => check(ports, seen) }));

/** The checks that write, by the ports given. */
export const writingChecks = (ports: WritePorts, seen: Examination): BoundCheck[] =>
  WRITING_CHECKS.map(({ name, needs, check }) => ({ name, needs, run: () => check(ports, seen) }));

/** What a check that did not pass means to whoever presents the JWT: which one it was is not for them to know. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof MusterError)) return error;
  if (error.reason !== "TOKEN_INVALID" && error.reason !== "TOKEN_EXPIRED") return error;
  return new MusterError("EXTERNAL_JWT_INVALID", { cause: error.cause });
}

/** Why a check did not pass, for people. */
export function whyOf({ message, cause, extra }: MusterError): string {
  if (extra.violations) return extra.violations.map(({ field, description }) => `${field} ${description}`).join("; ");
  return cause instanceof Error ? cause.message : message;
}
