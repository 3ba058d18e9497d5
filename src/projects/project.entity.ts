import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

export const SIGNING_ALGORITHMS = ["ED25519", "ES256", "RS256"] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** Only what was set; the rest takes its default when it is read, so that a changed default reaches every project. */
export interface StoredSettings {
  tokenTtlMs?: number;
  tokenTtlMaxMs?: number;
  accessTokenTtlMs?: number;
  refreshTokenTtlMs?: number;
  sessionTtlMs?: number;
  sessionTtlMaxMs?: number;
  signingAlgorithm?: SigningAlgorithm;
  createUsersOnSignIn?: boolean;
  usersMayList?: boolean;
  usersMayDeleteThemselves?: boolean;
  linkByVerifiedEmail?: boolean;
  externalJwtSingleUse?: boolean;
  externalJwtMaxAgeMs?: number;
  oneClickLogout?: boolean;
  corsOrigins?: string[];
  defaultPresence?: string;
  userIdPattern?: string;
  guestTtlMs?: number;
  eventRetentionMs?: number;
}

/** A tenant. */
export const ProjectEntity = defineEntity({
  name: "Project",
  tableName: "projects",
  properties: {
    id: p.uuid().primary(),
    displayName: p.text(),
    settings: p.json<StoredSettings>().default("{}"),
    createTime: p.datetime(),
    updateTime: p.datetime(),
  },
});
export type ProjectEntity = InferEntity<typeof ProjectEntity>;
