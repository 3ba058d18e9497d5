import { ConfigError } from "./config-error.ts";
import { readValues } from "./setting.ts";
import { hostWithPort, type RedisAddress } from "./setting-values.ts";
import { SETTINGS } from "./settings.ts";

type Settings = typeof SETTINGS;
type Optional<T> = T extends { default: string } ? never : undefined;
type Values = { readonly [Key in keyof Settings]: ReturnType<Settings[Key]["parse"]> | Optional<Settings[Key]> };

/** What a bucket cannot do without. */
const BUCKET_SETTINGS = [
  "avatarS3Endpoint",
  "avatarS3Bucket",
  "avatarS3AccessKeyId",
  "avatarS3SecretAccessKey",
] as const satisfies (keyof Settings)[];
type BucketSetting = Extract<keyof Settings, `avatarS3${string}`>;

/** What only a development server may leave out: it then makes its own. */
type Provided = "database" | "operatorKey" | "encryptionKeys";

/** Lists, which are empty where they are not set; and what is set together or not at all. */
type Listed = "trustedProxies" | "egressAllow";
type WebhookKey = "smsWebhookUrl" | "smsWebhookSecret";
type RedisSetting = "redisUrl" | "redisClusterUrls";

/** What the environment says, with the defaults filled in. */
export interface EnvironmentConfig
  extends Omit<Values, "tlsCertFile" | "tlsKeyFile" | Listed | WebhookKey | RedisSetting | BucketSetting> {
  /** PEM files; undefined: no TLS. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly trustedProxies: readonly string[];
  readonly egressAllow: readonly string[];
  /** Undefined: no text messages. */
  readonly smsWebhook: { readonly url: string; readonly secret: Uint8Array } | undefined;
  /** Where presences are kept; undefined: in the database. */
  readonly redis:
    | { readonly kind: "standalone"; readonly address: RedisAddress }
    | { readonly kind: "cluster"; readonly seeds: readonly RedisAddress[] }
    | undefined;
  /** Where avatars are kept; undefined: in the database. */
  readonly avatarBucket:
    | Readonly<Record<"endpoint" | "bucket" | "region" | "accessKeyId" | "secretAccessKey" | "prefix", string>>
    | undefined;
}

/** What a server runs on: that of the environment, with nothing missing that it cannot do without. */
export interface Config extends Omit<EnvironmentConfig, Provided> {
  readonly database: NonNullable<EnvironmentConfig["database"]>;
  readonly operatorKey: string;
  /** 32 bytes each: the first seals, all open. */
  readonly encryptionKeys: readonly Uint8Array[];
}

/**
 * Reads the settings. Throws ConfigError naming all problems at once; names that begin with MUSTER_ have to be known.
 * Only a server that is given its database needs to be given its secrets.
 */
export function readConfig(
  env: Readonly<Record<string, string | undefined>>,
  { secrets = true }: { secrets?: boolean } = {},
): EnvironmentConfig {
  const problems: string[] = [];
  const known = new Set<string>(Object.values(SETTINGS).map((setting) => setting.name));
  for (const name of Object.keys(env).toSorted())
    if (name.startsWith("MUSTER_") && !known.has(name)) problems.push(`${name} is not a setting of Muster`);
  const read = readValues(SETTINGS, env, problems) as Values;
  const { tlsCertFile, tlsKeyFile, smsWebhookUrl, smsWebhookSecret, ...set } = read;
  const { trustedProxies = [], egressAllow = [], redisUrl, redisClusterUrls, ...others } = set;
  const { avatarBucket, rest } = withBucket(others);
  const isSet = (key: keyof Settings) => Boolean(env[SETTINGS[key].name]);
  for (const [one, other] of TOGETHER)
    if (isSet(one) !== isSet(other))
      problems.push(`${SETTINGS[one].name} and ${SETTINGS[other].name} must be set together`);
  if (smsWebhookUrl && !mayBeCalled(smsWebhookUrl, egressAllow))
    problems.push(
      `${SETTINGS.smsWebhookUrl.name} must be https, unless ${SETTINGS.egressAllow.name} names its host and port`,
    );
  if (isSet("redisUrl") && isSet("redisClusterUrls"))
    problems.push(`${SETTINGS.redisUrl.name} and ${SETTINGS.redisClusterUrls.name} must not be set together`);
  if (BUCKET_SETTINGS.some(isSet) && !BUCKET_SETTINGS.every(isSet))
    problems.push(`${BUCKET_SETTINGS.map((key) => SETTINGS[key].name).join(", ")} must be set together`);
  if (secrets && isSet("database"))
    for (const key of ["operatorKey", "encryptionKeys"] as const)
      if (!isSet(key)) problems.push(`${SETTINGS[key].name} must be set when ${SETTINGS.database.name} is`);
  if (problems.length > 0) throw new ConfigError(problems);
  const tls = tlsCertFile && tlsKeyFile ? { certFile: tlsCertFile, keyFile: tlsKeyFile } : undefined;
  const smsWebhook = smsWebhookUrl && smsWebhookSecret ? { url: smsWebhookUrl, secret: smsWebhookSecret } : undefined;
  return {
    ...rest,
    tls,
    trustedProxies,
    egressAllow,
    smsWebhook,
    redis: redisOf(redisUrl, redisClusterUrls),
    avatarBucket,
  };
}

function redisOf(
  address: RedisAddress | undefined,
  seeds: readonly RedisAddress[] | undefined,
): EnvironmentConfig["redis"] {
  if (address) return { kind: "standalone", address };
  return seeds && { kind: "cluster", seeds };
}

/** Takes the settings of the bucket together: there is one where all are set that it cannot do without. */
function withBucket<V extends Pick<Values, BucketSetting>>(values: V) {
  const {
    avatarS3Endpoint: endpoint,
    avatarS3Bucket: bucket,
    avatarS3AccessKeyId: accessKeyId,
    avatarS3SecretAccessKey: secretAccessKey,
    avatarS3Region: region,
    avatarS3Prefix: prefix,
    ...rest
  } = values;
  const isWhole = endpoint && bucket && accessKeyId && secretAccessKey;
  return {
    rest,
    avatarBucket: isWhole ? { endpoint, bucket, accessKeyId, secretAccessKey, region, prefix } : undefined,
  };
}

const TOGETHER = [
  ["tlsCertFile", "tlsKeyFile"],
  ["smsWebhookUrl", "smsWebhookSecret"],
] as const satisfies [keyof Settings, keyof Settings][];

const mayBeCalled = (url: string, allowed: readonly string[]): boolean =>
  url.startsWith("https:") || allowed.includes(hostWithPort(new URL(url)));
