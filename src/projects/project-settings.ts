import { invalid } from "../errors.ts";
import type { SigningAlgorithm, StoredSettings } from "./project.entity.ts";
import { compilePattern } from "./user-id-pattern.ts";

/** The settings of a project, all of them, as they are in force. Spans in milliseconds. */
export interface ProjectSettings {
  readonly tokenTtlMs: number;
  readonly tokenTtlMaxMs: number;
  readonly accessTokenTtlMs: number;
  readonly refreshTokenTtlMs: number;
  readonly sessionTtlMs: number;
  readonly sessionTtlMaxMs: number;
  readonly signingAlgorithm: SigningAlgorithm;
  readonly createUsersOnSignIn: boolean;
  readonly usersMayList: boolean;
  readonly usersMayDeleteThemselves: boolean;
  readonly linkByVerifiedEmail: boolean;
  readonly externalJwtSingleUse: boolean;
  readonly externalJwtMaxAgeMs: number;
  readonly oneClickLogout: boolean;
  readonly corsOrigins: readonly string[];
  readonly defaultPresence: string;
  /** RE2; empty: every external id is taken. */
  readonly userIdPattern: string;
  readonly guestTtlMs: number;
  readonly eventRetentionMs: number;
}

export type SettingName = keyof StoredSettings;

/** What a setting is called on the wire, where spans are durations. */
export const wireNameOf = (name: SettingName): string =>
  name.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const GUEST_TTL_MS = DAY_MS;
const EVENT_RETENTION_MS = 30 * DAY_MS;
const TOKEN_TTL_MAX_MS = 30 * DAY_MS;

/** SQL for `guestTtlMs` in force, of a column with what is stored: for statements over all projects. */
export const guestTtlMsSql = (settings: string): string =>
  `coalesce((${settings} ->> 'guestTtlMs')::float8, ${GUEST_TTL_MS})`;

/** The same for `eventRetentionMs`. */
export const eventRetentionMsSql = (settings: string): string =>
  `coalesce((${settings} ->> 'eventRetentionMs')::float8, ${EVENT_RETENTION_MS})`;

/** The same for `tokenTtlMaxMs`; `tokenTtlMs` is SQL for the instance's default life of a token. */
export const tokenTtlMaxMsSql = (settings: string, tokenTtlMs: string): string =>
  `coalesce((${settings} ->> 'tokenTtlMaxMs')::float8, greatest(${TOKEN_TTL_MAX_MS}, ${tokenTtlMs}))`;

/** The settings with the defaults filled in. `tokenTtlMs` is the instance's default life of a token. */
export function settingsInForce(stored: StoredSettings, tokenTtlMs: number): ProjectSettings {
  const tokenTtlMaxMs = stored.tokenTtlMaxMs ?? Math.max(TOKEN_TTL_MAX_MS, tokenTtlMs);
  const sessionTtlMaxMs = stored.sessionTtlMaxMs ?? 30 * DAY_MS;
  return {
    // The maximum holds for the default too: an instance-wide default may lie over a project's own maximum.
    tokenTtlMs: stored.tokenTtlMs ?? Math.min(tokenTtlMs, tokenTtlMaxMs),
    tokenTtlMaxMs,
    accessTokenTtlMs: stored.accessTokenTtlMs ?? 30 * MINUTE_MS,
    refreshTokenTtlMs: stored.refreshTokenTtlMs ?? 30 * DAY_MS,
    sessionTtlMs: stored.sessionTtlMs ?? Math.min(120 * MINUTE_MS, sessionTtlMaxMs),
    sessionTtlMaxMs,
    signingAlgorithm: stored.signingAlgorithm ?? "ED25519",
    createUsersOnSignIn: stored.createUsersOnSignIn ?? false,
    usersMayList: stored.usersMayList ?? false,
    usersMayDeleteThemselves: stored.usersMayDeleteThemselves ?? true,
    linkByVerifiedEmail: stored.linkByVerifiedEmail ?? false,
    externalJwtSingleUse: stored.externalJwtSingleUse ?? false,
    externalJwtMaxAgeMs: stored.externalJwtMaxAgeMs ?? 60 * MINUTE_MS,
    oneClickLogout: stored.oneClickLogout ?? false,
    corsOrigins: stored.corsOrigins ?? [],
    defaultPresence: stored.defaultPresence ?? "offline",
    userIdPattern: stored.userIdPattern ?? "",
    guestTtlMs: stored.guestTtlMs ?? GUEST_TTL_MS,
    eventRetentionMs: stored.eventRetentionMs ?? EVENT_RETENTION_MS,
  };
}

/** A change of settings: exactly `names` are written, and those of them without a value return to their default. */
export interface SettingsChange {
  readonly names: ReadonlySet<SettingName>;
  readonly values: StoredSettings;
}

/** What is stored after the change. Throws REQUEST_INVALID for settings that contradict each other. */
export function changedSettings(stored: StoredSettings, change: SettingsChange, tokenTtlMs: number): StoredSettings {
  const kept = Object.entries(stored).filter(([name]) => !change.names.has(name as SettingName));
  const written = Object.entries(change.values).filter(
    ([name, value]) => change.names.has(name as SettingName) && value !== undefined,
  );
  const changed = Object.fromEntries([...kept, ...written]) as StoredSettings;
  compilePattern(changed.userIdPattern ?? "");
  const inForce = settingsInForce(changed, tokenTtlMs);
  if (inForce.tokenTtlMs > inForce.tokenTtlMaxMs)
    throw invalid("settings.token_ttl", "must not be longer than token_ttl_max");
  if (inForce.sessionTtlMs > inForce.sessionTtlMaxMs)
    throw invalid("settings.session_ttl", "must not be longer than session_ttl_max");
  return changed;
}
