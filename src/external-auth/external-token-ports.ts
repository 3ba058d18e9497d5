import type { WriteScope } from "../db/recorded.ts";
import type { Logger } from "../logger.ts";
import type { ProjectSettings } from "../projects/projects.ts";
import type { CheckedTimes } from "../tokens/jwt-claims.ts";
import type { JsonObject } from "../tokens/strict-json.ts";
import type { ParsedJwt } from "../tokens/strict-jwt.ts";
import type { SettledUser, UpsertedUser, UserPorts, WritePorts } from "../users/users.ts";
import type { ExternalKey, ExternalKeys } from "./keys/external-keys.ts";
import type { ProfilePorts } from "./proven-user.ts";
import type { RemoteKeySets } from "./remote-key-sets.ts";
import type { Candidate } from "./verifying-keys.ts";

export interface ExternalTokenPorts extends UserPorts, ProfilePorts {
  readonly logger: Logger;
  readonly externalKeys: ExternalKeys;
  readonly keySets: RemoteKeySets;
}

/** The checks of a JWT, in the order they are made. */
export type CheckName =
  | "form"
  | "keys"
  | "project"
  | "key"
  | "signature"
  | "subject"
  | "times"
  | "age"
  | "profile"
  | "single_use"
  | "user";

/** A JWT under examination: what it is held against, and what each check that passed has found. */
export interface Examination {
  readonly token: string;
  readonly scope: WriteScope;
  readonly settings: ProjectSettings;
  /** Milliseconds since the epoch. */
  readonly nowMs: number;
  jwt?: ParsedJwt;
  keys?: readonly ExternalKey[];
  /** The first key that may have signed it, and the others. */
  candidates?: { readonly first: Candidate; readonly rest: AsyncIterable<Candidate> };
  subject?: string;
  times?: CheckedTimes;
  userData?: JsonObject;
  settled?: SettledUser;
  written?: UpsertedUser;
}

/** One check. */
export interface TokenCheck {
  readonly name: CheckName;
  /** The checks that must have passed before it makes sense. */
  readonly needs: readonly CheckName[];
  /**
   * Gives what was found, for people to read and never a secret, and keeps it in the examination. Throws a MusterError: TOKEN_INVALID and
   * TOKEN_EXPIRED, whose cause says why, and others that go to the caller as they are.
   */
  check(ports: ExternalTokenPorts, seen: Examination): Promise<string> | string;
}

/** A check that writes, by the pool that it is given: one that is rehearsed leaves nothing. */
export interface WritingCheck extends Omit<TokenCheck, "check"> {
  check(ports: WritePorts, seen: Examination): Promise<string>;
}

/** What a check before has found. */
export function found<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("a check was made before those that it needs");
  return value;
}
