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
import type { SettingName, SettingsChange } from "./project-settings.ts";

/** The settings by their names on the wire: how each is read from a message; undefined: left out. */
const SETTINGS: { [N in SettingName]-?: { wire: string; read(message: SettingsMessage): StoredSettings[N] } } = {
  tokenTtlMs: { wire: "token_ttl", read: (m) => m.tokenTtl && durationMs(m.tokenTtl) },
  tokenTtlMaxMs: { wire: "token_ttl_max", read: (m) => m.tokenTtlMax && durationMs(m.tokenTtlMax) },
  accessTokenTtlMs: { wire: "access_token_ttl", read: (m) => m.accessTokenTtl && durationMs(m.accessTokenTtl) },
  refreshTokenTtlMs: { wire: "refresh_token_ttl", read: (m) => m.refreshTokenTtl && durationMs(m.refreshTokenTtl) },
  sessionTtlMs: { wire: "session_ttl", read: (m) => m.sessionTtl && durationMs(m.sessionTtl) },
  sessionTtlMaxMs: { wire: "session_ttl_max", read: (m) => m.sessionTtlMax && durationMs(m.sessionTtlMax) },
  signingAlgorithm: { wire: "signing_algorithm", read: (m) => algorithmOf(m.signingAlgorithm) },
  createUsersOnSignIn: { wire: "create_users_on_sign_in", read: (m) => m.createUsersOnSignIn },
  usersMayList: { wire: "users_may_list", read: (m) => m.usersMayList },
  usersMayDeleteThemselves: { wire: "users_may_delete_themselves", read: (m) => m.usersMayDeleteThemselves },
  linkByVerifiedEmail: { wire: "link_by_verified_email", read: (m) => m.linkByVerifiedEmail },
  externalJwtSingleUse: { wire: "external_jwt_single_use", read: (m) => m.externalJwtSingleUse },
  externalJwtMaxAgeMs: {
    wire: "external_jwt_max_age",
    read: (m) => m.externalJwtMaxAge && durationMs(m.externalJwtMaxAge),
  },
  oneClickLogout: { wire: "one_click_logout", read: (m) => m.oneClickLogout },
  corsOrigins: { wire: "cors_origins", read: (m) => (m.corsOrigins.length > 0 ? m.corsOrigins : undefined) },
  defaultPresence: { wire: "default_presence", read: (m) => m.defaultPresence || undefined },
  guestTtlMs: { wire: "guest_ttl", read: (m) => m.guestTtl && durationMs(m.guestTtl) },
  userIdPattern: { wire: "user_id_pattern", read: (m) => m.userIdPattern || undefined },
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
  for (const name of all) Object.assign(values, message && { [name]: SETTINGS[name].read(message) });
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
  const named = all.filter((name) => `settings.${SETTINGS[name].wire}` === path);
  if (named.length === 0) throw invalid("update_mask", `${path} is not a field that can be changed`);
  return named;
}
