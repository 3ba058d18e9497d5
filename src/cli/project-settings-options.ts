import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Command, Option } from "commander";
import { ProjectSettingsSchema, SigningAlgorithm } from "../gen/muster/v1/project_pb.ts";
import { duration } from "../setting-values.ts";
import { optionValue } from "./option-value.ts";

/** The settings of a project as options; those left out are not in it. */
export interface SettingsOptions {
  readonly tokenTtl?: number;
  readonly tokenTtlMax?: number;
  readonly accessTokenTtl?: number;
  readonly refreshTokenTtl?: number;
  readonly sessionTtl?: number;
  readonly sessionTtlMax?: number;
  readonly signingAlgorithm?: "ed25519" | "es256" | "rs256";
  readonly createUsersOnSignIn?: boolean;
  readonly usersMayList?: boolean;
  readonly usersMayDeleteThemselves?: boolean;
  readonly linkByVerifiedEmail?: boolean;
  readonly externalJwtSingleUse?: boolean;
  readonly externalJwtMaxAge?: number;
  readonly oneClickLogout?: boolean;
  readonly corsOrigin?: string[];
  readonly defaultPresence?: string;
  readonly userIdPattern?: string;
  readonly guestTtl?: number;
  readonly eventRetention?: number;
}

const ALGORITHMS = { ed25519: SigningAlgorithm.ED25519, es256: SigningAlgorithm.ES256, rs256: SigningAlgorithm.RS256 };

const yesOrNo = (text: string): boolean => {
  if (text !== "yes" && text !== "no") throw new Error("must be yes or no");
  return text === "yes";
};

const collect = (text: string, before: string[] = []): string[] => (text === "none" ? [] : [...before, text]);

/** Gives a command the options of a project's settings. */
export function withSettings(command: Command): Command {
  const span = optionValue(duration("1m", "8760h"));
  return command
    .option("--token-ttl <span>", "how long a token lives, such as 24h", span)
    .option("--token-ttl-max <span>", "the longest life a call may ask for, such as 720h", span)
    .option(
      "--access-token-ttl <span>",
      "how long the access token of a sign-in lives",
      optionValue(duration("1m", "24h")),
    )
    .option("--refresh-token-ttl <span>", "how long a refresh token may go unused", span)
    .option("--session-ttl <span>", "how long a session goes on after its last request", span)
    .option("--session-ttl-max <span>", "the longest a session goes on", span)
    .option("--create-users-on-sign-in <yes|no>", "whether a sign-in makes users", optionValue(yesOrNo))
    .addOption(new Option("--signing-algorithm <name>", "what tokens are signed with").choices(Object.keys(ALGORITHMS)))
    .option("--users-may-list <yes|no>", "whether users may list the others", optionValue(yesOrNo))
    .option("--users-may-delete-themselves <yes|no>", "whether a user may delete itself", optionValue(yesOrNo))
    .option("--link-by-verified-email <yes|no>", "whether a proven email links to its user", optionValue(yesOrNo))
    .option("--external-jwt-single-use <yes|no>", "whether an external JWT is good once", optionValue(yesOrNo))
    .option("--external-jwt-max-age <span>", "how old an external JWT may be", optionValue(duration("1m", "720h")))
    .option("--one-click-logout <yes|no>", "whether a logout link signs out without a button", optionValue(yesOrNo))
    .option("--cors-origin <origin>", "an origin whose pages may call; repeat it for more, or none", collect)
    .option("--default-presence <status>", "the status of a user that has not set one")
    .option("--user-id-pattern <regexp>", "what new external ids must match")
    .option("--guest-ttl <span>", "how long a guest lives, such as 24h", optionValue(duration("1m", "720h")))
    .option("--event-retention <span>", "how long events are kept", optionValue(duration("24h", "8760h")));
}

const SPANS = [
  "tokenTtl",
  "tokenTtlMax",
  "accessTokenTtl",
  "refreshTokenTtl",
  "sessionTtl",
  "sessionTtlMax",
  "guestTtl",
  "eventRetention",
  "externalJwtMaxAge",
] as const;

const spansOf = (options: SettingsOptions) =>
  Object.fromEntries(
    SPANS.flatMap((name) => {
      const ms = options[name];
      return ms === undefined ? [] : [[name, durationFromMs(ms)]];
    }),
  );

/** The settings that the options name. */
export function settingsOf(options: SettingsOptions): MessageInitShape<typeof ProjectSettingsSchema> {
  const { signingAlgorithm, createUsersOnSignIn, usersMayList, usersMayDeleteThemselves } = options;
  const { linkByVerifiedEmail, externalJwtSingleUse } = options;
  const { oneClickLogout, corsOrigin, defaultPresence, userIdPattern } = options;
  return {
    ...spansOf(options),
    ...(signingAlgorithm !== undefined && { signingAlgorithm: ALGORITHMS[signingAlgorithm] }),
    ...(createUsersOnSignIn !== undefined && { createUsersOnSignIn }),
    ...(usersMayList !== undefined && { usersMayList }),
    ...(usersMayDeleteThemselves !== undefined && { usersMayDeleteThemselves }),
    ...(linkByVerifiedEmail !== undefined && { linkByVerifiedEmail }),
    ...(externalJwtSingleUse !== undefined && { externalJwtSingleUse }),
    ...(oneClickLogout !== undefined && { oneClickLogout }),
    ...(corsOrigin !== undefined && { corsOrigins: corsOrigin }),
    ...(defaultPresence !== undefined && { defaultPresence }),
    ...(userIdPattern !== undefined && { userIdPattern }),
  };
}

/** The mask that names the same settings: with it an empty one is set back to its default instead of passed over. */
export function settingsMask(settings: MessageInitShape<typeof ProjectSettingsSchema>): { paths: string[] } {
  const fields = ProjectSettingsSchema.fields.filter((field) => field.localName in settings);
  return { paths: fields.map((field) => `settings.${field.name}`) };
}
