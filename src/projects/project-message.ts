import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, type FieldMask, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { invalid } from "../errors.ts";
import {
  type AccessKey,
  AccessKeySchema,
  type Project,
  ProjectSchema,
  ProjectSettingsSchema,
  type ProjectSettings as SettingsMessage,
  SigningAlgorithm,
} from "../gen/muster/v1/project_pb.ts";
import type { AccessKeyEntity } from "./access-key.entity.ts";
import type { StoredSettings } from "./project.entity.ts";
import type { ProjectRecord } from "./project-directory.ts";
import { type SettingName, type SettingsChange, wireNameOf } from "./project-settings.ts";

/** How each setting is read from a message; undefined: left out. */
const SETTINGS: { [N in SettingName]-?: (message: SettingsMessage) => StoredSettings[N] } = {
  tokenTtlMs: (m) => m.tokenTtl && durationMs(m.tokenTtl),
  tokenTtlMaxMs: (m) => m.tokenTtlMax && durationMs(m.tokenTtlMax),
  accessTokenTtlMs: (m) => m.accessTokenTtl && durationMs(m.accessTokenTtl),
  refreshTokenTtlMs: (m) => m.refreshTokenTtl && durationMs(m.refreshTokenTtl),
  sessionTtlMs: (m) => m.sessionTtl && durationMs(m.sessionTtl),
  sessionTtlMaxMs: (m) => m.sessionTtlMax && durationMs(m.sessionTtlMax),
  signingAlgorithm: (m) => algorithmOf(m.signingAlgorithm),
  createUsersOnSignIn: (m) => m.createUsersOnSignIn,
  usersMayList: (m) => m.usersMayList,
  usersMayDeleteThemselves: (m) => m.usersMayDeleteThemselves,
  linkByVerifiedEmail: (m) => m.linkByVerifiedEmail,
  externalJwtSingleUse: (m) => m.externalJwtSingleUse,
  externalJwtMaxAgeMs: (m) => m.externalJwtMaxAge && durationMs(m.externalJwtMaxAge),
  oneClickLogout: (m) => m.oneClickLogout,
  corsOrigins: (m) => (m.corsOrigins.length > 0 ? m.corsOrigins : undefined),
  defaultPresence: (m) => m.defaultPresence || undefined,
  guestTtlMs: (m) => m.guestTtl && durationMs(m.guestTtl),
  eventRetentionMs: (m) => m.eventRetention && durationMs(m.eventRetention),
  userIdPattern: (m) => m.userIdPattern || undefined,
};

const ALGORITHMS = {
  ED25519: SigningAlgorithm.ED25519,
  ES256: SigningAlgorithm.ES256,
  RS256: SigningAlgorithm.RS256,
} as const;

const algorithmOf = (value: SigningAlgorithm) =>
  (Object.keys(ALGORITHMS) as (keyof typeof ALGORITHMS)[]).find((name) => ALGORITHMS[name] === value);

/** A project as it goes on the wire, with every setting. */
export function projectMessage({ id, displayName, settings, createTime, updateTime }: ProjectRecord): Project {
  return create(ProjectSchema, {
    id,
    displayName,
    settings: create(ProjectSettingsSchema, {
      tokenTtl: durationFromMs(settings.tokenTtlMs),
      tokenTtlMax: durationFromMs(settings.tokenTtlMaxMs),
      accessTokenTtl: durationFromMs(settings.accessTokenTtlMs),
      refreshTokenTtl: durationFromMs(settings.refreshTokenTtlMs),
      sessionTtl: durationFromMs(settings.sessionTtlMs),
      sessionTtlMax: durationFromMs(settings.sessionTtlMaxMs),
      signingAlgorithm: ALGORITHMS[settings.signingAlgorithm],
      createUsersOnSignIn: settings.createUsersOnSignIn,
      usersMayList: settings.usersMayList,
      usersMayDeleteThemselves: settings.usersMayDeleteThemselves,
      linkByVerifiedEmail: settings.linkByVerifiedEmail,
      externalJwtSingleUse: settings.externalJwtSingleUse,
      externalJwtMaxAge: durationFromMs(settings.externalJwtMaxAgeMs),
      oneClickLogout: settings.oneClickLogout,
      corsOrigins: [...settings.corsOrigins],
      defaultPresence: settings.defaultPresence,
      userIdPattern: settings.userIdPattern,
      guestTtl: durationFromMs(settings.guestTtlMs),
      eventRetention: durationFromMs(settings.eventRetentionMs),
    }),
    createTime: timestampFromDate(createTime),
    updateTime: timestampFromDate(updateTime),
  });
}

/** An access key as it goes on the wire: without its secret. */
export const accessKeyMessage = (key: AccessKeyEntity): AccessKey =>
  create(AccessKeySchema, {
    id: key.id,
    projectId: key.projectId,
    displayName: key.displayName,
    createTime: timestampFromDate(key.createTime),
    ...(key.revokeTime && { revokeTime: timestampFromDate(key.revokeTime) }),
  });

/** The change a request asks for: what the mask names, or what is set. REQUEST_INVALID for a path that is no setting. */
export function settingsChange(message: SettingsMessage | undefined, mask?: FieldMask): SettingsChange {
  const values: StoredSettings = {};
  const all = Object.keys(SETTINGS) as SettingName[];
  for (const name of all) Object.assign(values, message && { [name]: SETTINGS[name](message) });
  const paths = mask?.paths ?? [];
  if (paths.length === 0) return { values, names: new Set(all.filter((name) => values[name] !== undefined)) };
  return { values, names: new Set(paths.filter((path) => path !== "display_name").flatMap(settingsNamed)) };
}

/** The name a request asks for; empty: as it is. REQUEST_INVALID for a mask that names it where it is empty. */
export function nameChange(displayName: string, mask: FieldMask | undefined): string {
  const paths = mask?.paths ?? [];
  if (paths.length === 0) return displayName;
  if (!paths.includes("display_name")) return "";
  if (displayName === "") throw invalid("display_name", "cannot be emptied");
  return displayName;
}

function settingsNamed(path: string): SettingName[] {
  const all = Object.keys(SETTINGS) as SettingName[];
  if (path === "settings") return all;
  const named = all.filter((name) => `settings.${wireNameOf(name)}` === path);
  if (named.length === 0) throw invalid("update_mask", `${path} is not a field that can be changed`);
  return named;
}
