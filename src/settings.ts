import { parseDatabaseUrl } from "./db/database-url.ts";
import { LOG_LEVELS } from "./logger.ts";
import type { Setting } from "./setting.ts";
import * as values from "./setting-values.ts";

/** Every setting there is, by its name in a config: the reference is generated from it. */
export const SETTINGS = {
  host: {
    name: "MUSTER_HOST",
    description: "The address to listen on. `0.0.0.0` or `::` for all.",
    default: "127.0.0.1",
    parse: values.host,
  },
  port: {
    name: "MUSTER_PORT",
    description: "The port to listen on; 0 takes a free one.",
    default: "8080",
    parse: values.integer(0, 65_535),
  },
  publicUrl: {
    name: "MUSTER_PUBLIC_URL",
    description:
      "The URL that clients reach Muster by, in front of any proxy; tokens name it as issuer. If not set: the address listened on.",
    parse: values.httpUrl,
  },
  dataDir: {
    name: "MUSTER_DATA_DIR",
    description:
      "The folder of the embedded database and of the secrets made for it. With `DATABASE_URL` only for what may be lost: mails in files, and compiled code where the program's own folder cannot be written.",
    default: ".muster",
    parse: values.plainText,
  },
  database: {
    name: "DATABASE_URL",
    description:
      "A PostgreSQL 15 to 18, as `postgres://user:password@host:port/database?sslmode=verify-full` (`disable`, `require`, `verify-full`; a unix socket's folder as `?host=/folder`). If not set: an embedded one, for development.",
    parse: parseDatabaseUrl,
  },
  workers: {
    name: "MUSTER_WORKERS",
    description:
      "How many processes serve the port, 1 to 256, or `auto`: as many as the machine has cores. Limits that are said to be of a process are of each of them.",
    default: "1",
    parse: values.workers,
  },
  dbPoolSize: {
    name: "MUSTER_DB_POOL_SIZE",
    description:
      "The most database connections of this process, 2 to 1000; one for notifications and one for short reads come on top.",
    default: "20",
    parse: values.integer(2, 1_000),
  },
  dbStatementTimeoutMs: {
    name: "MUSTER_DB_STATEMENT_TIMEOUT",
    description: "The longest a single statement may take, 100ms to 10m.",
    default: "30s",
    parse: values.duration("100ms", "10m"),
  },
  redisUrl: {
    name: "REDIS_URL",
    description:
      "A Redis 7 or Valkey that presences are kept in, as `redis://user:password@host:6379/0`, or `rediss://` for TLS. If not set: in the database. docs/presence.md says when to.",
    parse: values.redisUrl,
  },
  redisClusterUrls: {
    name: "REDIS_CLUSTER_URLS",
    description:
      "Instead of `REDIS_URL`: some servers of a Redis Cluster, separated by commas, by which the others are found. All have the same scheme, user and password.",
    parse: values.redisClusterUrls,
  },
  operatorKey: {
    name: "MUSTER_OPERATOR_KEY",
    description:
      "The credential that administers projects: `mop_` and 32 to 200 random characters. Required with `DATABASE_URL`; otherwise made at the first start.",
    parse: values.operatorKey,
  },
  encryptionKeys: {
    name: "MUSTER_ENCRYPTION_KEY",
    description:
      "What seals secrets at rest: 32 random bytes in base64. Up to ten, separated by commas: the first seals, all open; docs/keys.md says how to rotate them. Required with `DATABASE_URL`; otherwise made at the first start.",
    parse: values.encryptionKeys,
  },
  tokenTtlHours: {
    name: "MUSTER_TOKEN_TTL_HOURS",
    description: "How long a token lives in projects that do not say, 1 to 8760 hours.",
    default: "24",
    parse: values.integer(1, 8_760),
  },
  auditRetentionDays: {
    name: "MUSTER_AUDIT_RETENTION_DAYS",
    description:
      "For how many days audit entries are kept, 1 to 36500; 0: for good. docs/audit.md says what stays of them.",
    default: "400",
    parse: values.integer(0, 36_500),
  },
  signingKeyPrepareMs: {
    name: "MUSTER_SIGNING_KEY_PREPARE_TIME",
    description:
      "For how long a new signing key is published in the JWKS before it signs, 1m to 24h: at least as long as those who verify tokens keep the JWKS.",
    default: "1m",
    parse: values.duration("1m", "24h"),
  },
  tlsCertFile: {
    name: "MUSTER_TLS_CERT_FILE",
    description: "The certificate chain in PEM. With it and its key, the port speaks TLS as well.",
    parse: values.plainText,
  },
  tlsKeyFile: {
    name: "MUSTER_TLS_KEY_FILE",
    description: "The certificate's private key in PEM.",
    parse: values.plainText,
  },
  trustedProxies: {
    name: "MUSTER_TRUSTED_PROXIES",
    description:
      "IP addresses and CIDR ranges, separated by commas, of the proxies whose `x-forwarded-for` counts. If not set: none.",
    parse: values.ipRanges,
  },
  logLevel: {
    name: "MUSTER_LOG_LEVEL",
    description: `What is logged: ${LOG_LEVELS.join(", ")}. The log goes to standard error, one JSON object a line.`,
    default: "info",
    parse: values.oneOf(LOG_LEVELS),
  },
  fastPath: {
    name: "MUSTER_FAST_PATH",
    description:
      "`on` or `off`: whether the calls that most clients make are served without the protocol handlers of ConnectRPC, at a fraction of their cost. The answers are the same; `off` is for finding out whether a fault is here.",
    default: "on",
    parse: values.onOff,
  },
  rateFactor: {
    name: "MUSTER_RATE_LIMITS",
    description: "`on`, `off`, or a factor up to 1000 that every rate limit is multiplied with.",
    default: "on",
    parse: values.rateFactor,
  },
  maxConnections: {
    name: "MUSTER_MAX_CONNECTIONS",
    description: "The most client connections at once, of all workers together, 1 to 1000000; more are refused.",
    default: "10000",
    parse: values.integer(1, 1_000_000),
  },
  maxConnectionAgeMs: {
    name: "MUSTER_MAX_CONNECTION_AGE",
    description:
      "After about how long a client's connection is asked to end and come anew, so that load spreads, 1m to 24h.",
    default: "1h",
    parse: values.duration("1m", "24h"),
  },
  drainTimeoutMs: {
    name: "MUSTER_DRAIN_TIMEOUT",
    description: "How long calls in flight may take after SIGTERM, 0s to 24s.",
    default: "20s",
    parse: values.duration("0s", "24s"),
  },
  avatarS3Endpoint: {
    name: "MUSTER_AVATAR_S3_ENDPOINT",
    description:
      "The S3-compatible service that avatars are kept in, such as `https://s3.eu-central-1.amazonaws.com`. If not set: in the database. Those of before stay where they are.",
    parse: values.httpUrl,
  },
  avatarS3Bucket: {
    name: "MUSTER_AVATAR_S3_BUCKET",
    description: "The bucket, which has to be there. Required with `MUSTER_AVATAR_S3_ENDPOINT`, as are the next two.",
    parse: values.bucketName,
  },
  avatarS3AccessKeyId: {
    name: "MUSTER_AVATAR_S3_ACCESS_KEY_ID",
    description: "The id of the key that may get, put and delete objects of the bucket.",
    parse: values.plainText,
  },
  avatarS3SecretAccessKey: {
    name: "MUSTER_AVATAR_S3_SECRET_ACCESS_KEY",
    description: "The secret of that key.",
    parse: values.plainText,
  },
  avatarS3Region: {
    name: "MUSTER_AVATAR_S3_REGION",
    description: "The region that requests are signed for.",
    default: "us-east-1",
    parse: values.plainText,
  },
  avatarS3Prefix: {
    name: "MUSTER_AVATAR_S3_PREFIX",
    description: "What the key of every object begins with, up to 200 characters of A-Z, a-z, 0-9 and `/ _ . -`.",
    default: "avatars/",
    parse: values.objectPrefix,
  },
  serverUrl: {
    name: "MUSTER_URL",
    description:
      "For the command line: the server that `muster project`, `muster key`, `muster signing-key` and `muster audit list` talk to, by the operator key in `MUSTER_OPERATOR_KEY`, and `muster user`, `muster provider`, `muster key external` and `muster token`, by the access key in `MUSTER_ACCESS_KEY`. If not set: the development server of the data folder.",
    parse: values.httpUrl,
  },
  accessKey: {
    name: "MUSTER_ACCESS_KEY",
    description:
      "For the command line: the access key of the project that `muster user`, `muster key external` and `muster token` are about. If not set: that of the development server of the data folder.",
    parse: values.accessKey,
  },
  smtp: {
    name: "SMTP_URL",
    description:
      "The server that mail is handed to, as `smtp://user:password@host:587` or `smtps://host`; a password is sent over TLS only. If not set, for development: mail is written to `mail/` in the data folder.",
    parse: values.smtpUrl,
  },
  passwordResetUrl: {
    name: "MUSTER_PASSWORD_RESET_URL",
    description:
      "The page that links to reset a password lead to, with `{token}` where the token stands, such as `https://app.example.com/reset#{token}` (behind `#` it is in no log), and `{project_id}` if it matters. If not set: passwords cannot be reset by mail.",
    parse: values.resetLink,
  },
  mailFrom: {
    name: "MUSTER_MAIL_FROM",
    description: "The address that mail is sent from.",
    default: "muster@localhost",
    parse: values.emailAddress,
  },
  smsWebhookUrl: {
    name: "MUSTER_SMS_WEBHOOK_URL",
    description: "Where text messages are posted to for delivery, by https. If not set: phones cannot be verified.",
    parse: values.httpUrl,
  },
  smsWebhookSecret: {
    name: "MUSTER_SMS_WEBHOOK_SECRET",
    description:
      "What signs the posts to `MUSTER_SMS_WEBHOOK_URL` by Standard Webhooks: `whsec_` and 24 to 64 random bytes in base64.",
    parse: values.webhookSecret,
  },
  egressAllow: {
    name: "MUSTER_EGRESS_ALLOW",
    description:
      "Where Muster may call although it is a private address or plain http: `host:port`, several separated by commas. If not set: nowhere.",
    parse: values.hostsWithPorts,
  },
  otlpEndpoint: {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    description:
      "The collector that traces go to, by OTLP over HTTP: a base URL, to which `/v1/traces` is appended. If not set: no traces.",
    parse: values.httpUrl,
  },
} as const satisfies Record<string, Setting<unknown>>;
