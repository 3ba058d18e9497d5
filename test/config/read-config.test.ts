import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { ConfigError } from "../../src/config-error.ts";
import { SETTINGS } from "../../src/settings.ts";

const key = (fill = 0) => Buffer.from(Array.from({ length: 32 }, (_, index) => index + fill)).toString("base64");
const OPERATOR_KEY = "mop_q3Zt7Lw0bX9dVn2KcR5sYh8JmUe4Ga1P";
const PRODUCTION = {
  DATABASE_URL: "postgres://muster:s3cret@db.example:6432/muster",
  MUSTER_OPERATOR_KEY: OPERATOR_KEY,
  MUSTER_ENCRYPTION_KEY: key(),
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test("an empty environment is a development server's", () => {
  expect(readConfig({})).toEqual({
    host: "127.0.0.1",
    port: 8080,
    publicUrl: undefined,
    dataDir: ".muster",
    database: undefined,
    workers: 1,
    dbPoolSize: 20,
    dbStatementTimeoutMs: 30_000,
    operatorKey: undefined,
    encryptionKeys: undefined,
    tokenTtlHours: 24,
    signingKeyPrepareMs: 60_000,
    auditRetentionDays: 400,
    tls: undefined,
    trustedProxies: [],
    smtp: undefined,
    mailFrom: "muster@localhost",
    smsWebhook: undefined,
    egressAllow: [],
    logLevel: "info",
    fastPath: true,
    rateFactor: 1,
    maxConnections: 10_000,
    maxConnectionAgeMs: 3_600_000,
    drainTimeoutMs: 20_000,
    serverUrl: undefined,
    otlpEndpoint: undefined,
    avatarBucket: undefined,
  });
});

test("a setting that is set to nothing counts as not set", () => {
  const empty = Object.fromEntries(Object.values(SETTINGS).map((setting) => [setting.name, ""]));
  expect(readConfig(empty)).toEqual(readConfig({}));
});

const BUCKET = {
  MUSTER_AVATAR_S3_ENDPOINT: "https://s3.example/",
  MUSTER_AVATAR_S3_BUCKET: "muster-avatars",
  MUSTER_AVATAR_S3_ACCESS_KEY_ID: "AKIA",
  MUSTER_AVATAR_S3_SECRET_ACCESS_KEY: "s3cret",
};

test("avatars are kept in a bucket where all that it needs is set", () => {
  const settings = {
    endpoint: "https://s3.example",
    bucket: "muster-avatars",
    accessKeyId: "AKIA",
    secretAccessKey: "s3cret",
    region: "us-east-1",
    prefix: "avatars/",
  };
  expect(readConfig(BUCKET).avatarBucket).toEqual(settings);
  const more = { MUSTER_AVATAR_S3_REGION: "eu-1", MUSTER_AVATAR_S3_PREFIX: "a/b.c/" };
  expect(readConfig({ ...BUCKET, ...more }).avatarBucket).toEqual({ ...settings, region: "eu-1", prefix: "a/b.c/" });
  for (const name of Object.keys(BUCKET)) {
    const [problem, ...others] = problemsOf({ ...BUCKET, [name]: "" });
    expect([problem, others]).toEqual([`${Object.keys(BUCKET).join(", ")} must be set together`, []]);
  }
});

test.each([
  ["MUSTER_AVATAR_S3_ENDPOINT", "s3.example"],
  ["MUSTER_AVATAR_S3_BUCKET", "My_Bucket"],
  ["MUSTER_AVATAR_S3_BUCKET", "../other"],
  ["MUSTER_AVATAR_S3_PREFIX", "/a"],
  ["MUSTER_AVATAR_S3_PREFIX", "a//b"],
  ["MUSTER_AVATAR_S3_PREFIX", "a/../b"],
  ["MUSTER_AVATAR_S3_PREFIX", "a?b"],
])("%s does not take %s", (name, value) => {
  expect(problemsOf({ ...BUCKET, [name]: value })[0]).toMatch(new RegExp(`^${name} must`));
});

test("variables that are not Muster's are left alone", () => {
  expect(problemsOf({ PATH: "/bin", MUSTERS: "x", REDIS_HOST: "y" })).toEqual([]);
});

test("all problems are named at once, and no value is repeated", () => {
  const env = {
    MUSTER_PRT: "value-1",
    MUSTER_PORT: "value-2",
    DATABASE_URL: "value-3",
    MUSTER_ENCRYPTION_KEY: "value-4",
    MUSTER_LOG_LEVEL: "value-5",
    MUSTER_TLS_CERT_FILE: "value-6",
  };
  const problems = problemsOf(env);
  const names = [
    "MUSTER_PRT",
    "MUSTER_PORT",
    "DATABASE_URL",
    "MUSTER_ENCRYPTION_KEY",
    "MUSTER_LOG_LEVEL",
    "MUSTER_TLS_CERT_FILE",
  ];
  for (const name of [...names, "MUSTER_OPERATOR_KEY"])
    expect(problems.filter((problem) => problem.startsWith(name))).toHaveLength(1);
  expect(problems.join()).not.toContain("value-");
});

test("with a database of its own a server needs both secrets", () => {
  const { DATABASE_URL } = PRODUCTION;
  expect(problemsOf({ DATABASE_URL })).toEqual([
    "MUSTER_OPERATOR_KEY must be set when DATABASE_URL is",
    "MUSTER_ENCRYPTION_KEY must be set when DATABASE_URL is",
  ]);
  expect(problemsOf(PRODUCTION)).toEqual([]);
  expect(readConfig({ DATABASE_URL }, { secrets: false }).database?.host).toBe("db.example");
});

test("no secret has a default", () => {
  for (const name of ["operatorKey", "encryptionKeys", "database"] as const)
    expect(SETTINGS[name]).not.toHaveProperty("default");
});

test("the first encryption key stays first, and all are kept", () => {
  const { encryptionKeys } = readConfig({ ...PRODUCTION, MUSTER_ENCRYPTION_KEY: `${key(1)}, ${key(2)}` });
  expect(encryptionKeys?.map((bytes) => bytes.toString("base64"))).toEqual([key(1), key(2)]);
});

test.each([
  ["MUSTER_PORT", ["0", "65535"], ["65536", "-1", "80.5", "0x50", "http", " 80"]],
  ["MUSTER_HOST", ["0.0.0.0", "::", "localhost"], ["127.0.0.1:80", "a b", "-x", "http://a"]],
  [
    "MUSTER_PUBLIC_URL",
    ["https://id.example.com", "http://a:1/base"],
    ["id.example.com", "ftp://a", "https://u:p@a", "https://a?b"],
  ],
  ["MUSTER_DB_POOL_SIZE", ["2", "1000"], ["1", "1001", "many"]],
  ["MUSTER_DB_STATEMENT_TIMEOUT", ["100ms", "5s", "10m"], ["5", "99ms", "11m", "1d", "1.5s"]],
  ["MUSTER_TOKEN_TTL_HOURS", ["1", "8760"], ["0", "8761", "1h"]],
  ["MUSTER_TRUSTED_PROXIES", ["10.0.0.0/8, ::1", "fd00::/8"], ["10.0.0.0/33", "proxy", "10.0.0.1,", "::1/129"]],
  ["MUSTER_LOG_LEVEL", ["debug", "silent"], ["DEBUG", "verbose"]],
  ["MUSTER_RATE_LIMITS", ["on", "off", "2.5"], ["0", "yes", "1001", "-1"]],
  ["MUSTER_DRAIN_TIMEOUT", ["0s", "24s"], ["25s", "1m"]],
  ["MUSTER_MAX_CONNECTIONS", ["1"], ["0"]],
  ["MUSTER_OPERATOR_KEY", [OPERATOR_KEY], ["mop_short", OPERATOR_KEY.slice(4), `mop_${"a".repeat(40)}`]],
  [
    "MUSTER_ENCRYPTION_KEY",
    [key()],
    [
      randomBytes(31).toString("base64"),
      randomBytes(33).toString("base64"),
      `${key()},${key()}`,
      Buffer.alloc(32).toString("base64"),
      `${key()},`,
    ],
  ],
  ["OTEL_EXPORTER_OTLP_ENDPOINT", ["http://collector:4318"], ["collector:4318"]],
])("%s takes what it should and nothing else", (name, good, bad) => {
  for (const value of good) expect(problemsOf({ [name]: value }), value).toEqual([]);
  for (const value of bad) {
    const [problem, ...others] = problemsOf({ [name]: value });
    expect(problem, value).toMatch(new RegExp(`^${name} must `));
    expect(others).toEqual([]);
  }
});

test("presences are kept in one Redis or in a cluster, and a bad URL is named without its password", () => {
  const plain = { host: "redis.example", port: 6_379, tls: false, database: 0 };
  const read = (REDIS_URL: string) => readConfig({ REDIS_URL }).redis;
  expect(read("redis://redis.example")).toEqual({ kind: "standalone", address: plain });
  expect(read("rediss://muster:s%40cret@redis.example:7000/3")).toEqual({
    kind: "standalone",
    address: { ...plain, port: 7_000, tls: true, user: "muster", password: "s@cret", database: 3 },
  });
  expect(read("redis://:secret@[::1]/")).toMatchObject({ address: { host: "::1", password: "secret", database: 0 } });
  for (const bad of [
    "redis.example",
    "http://h",
    "redis://",
    "redis://h/x",
    "redis://h?db=1",
    "redis://u@h",
    "redis://:%ff@h",
  ])
    expect(problemsOf({ REDIS_URL: bad })).toEqual([
      "REDIS_URL must be a URL such as redis://user:password@host:6379/0, or rediss://…",
    ]);
  const cluster = (REDIS_CLUSTER_URLS: string) => problemsOf({ REDIS_CLUSTER_URLS });
  expect(readConfig({ REDIS_CLUSTER_URLS: "redis://a:1, redis://b:2" }).redis).toEqual({
    kind: "cluster",
    seeds: [
      { ...plain, host: "a", port: 1 },
      { ...plain, host: "b", port: 2 },
    ],
  });
  expect(cluster("redis://a/1")).toEqual(["REDIS_CLUSTER_URLS must not name a database: a cluster has one"]);
  expect(cluster("redis://a,rediss://b")).toEqual([
    "REDIS_CLUSTER_URLS must all have the same scheme, user and password",
  ]);
  expect(cluster(Array.from({ length: 51 }, () => "redis://a").join())).toEqual([
    "REDIS_CLUSTER_URLS must be at most 50 URLs",
  ]);
  expect(problemsOf({ REDIS_URL: "redis://a", REDIS_CLUSTER_URLS: "redis://b" })).toEqual([
    "REDIS_URL and REDIS_CLUSTER_URLS must not be set together",
  ]);
});

test("the SMTP server is read from its URL, and a bad one is named without its password", () => {
  const read = (SMTP_URL: string) => readConfig({ SMTP_URL }).smtp;
  expect(read("smtp://mail.example")).toEqual({ host: "mail.example", port: 587, tls: false });
  expect(read("smtps://us%40er:p%3Ass@[::1]")).toEqual({
    ...{ host: "::1", port: 465, tls: true },
    ...{ user: "us@er", password: "p:ss" },
  });
  for (const bad of [
    "http://mail.example",
    "smtp://",
    "smtp://user@mail.example",
    "smtp://mail.example/?x=hunter2",
    "mail",
  ])
    expect(problemsOf({ SMTP_URL: bad })).toEqual([
      "SMTP_URL must be a URL such as smtp://user:password@host:587, or smtps://…",
    ]);
});

test("a webhook for text messages needs its secret, and https unless its host and port are listed", () => {
  const secret = `whsec_${Buffer.from(Array.from({ length: 24 }, (_, i) => i * 7)).toString("base64")}`;
  const problems = (MUSTER_SMS_WEBHOOK_URL: string, more: Record<string, string> = {}) =>
    problemsOf({ MUSTER_SMS_WEBHOOK_URL, MUSTER_SMS_WEBHOOK_SECRET: secret, ...more });
  expect(problems("https://sms.example/send")).toEqual([]);
  expect(problems("http://127.0.0.1:9000", { MUSTER_EGRESS_ALLOW: "sms.example:80, 127.0.0.1:9000" })).toEqual([]);
  expect(problems("http://127.0.0.1:9000", { MUSTER_EGRESS_ALLOW: "127.0.0.1:9001" })).toEqual([
    "MUSTER_SMS_WEBHOOK_URL must be https, unless MUSTER_EGRESS_ALLOW names its host and port",
  ]);
  expect(problemsOf({ MUSTER_SMS_WEBHOOK_URL: "https://sms.example" })).toEqual([
    "MUSTER_SMS_WEBHOOK_URL and MUSTER_SMS_WEBHOOK_SECRET must be set together",
  ]);
  expect(problems("http://[::1]:9000", { MUSTER_EGRESS_ALLOW: "[0:0::1]:09000" })).toEqual([]);
  for (const bad of ["10.0.0.0/8", "1.2.3.4.5:80", "[::1::]:80", "[]:80", "host", "host:", "host:65536", "a:1,,b:1"])
    expect(problemsOf({ MUSTER_EGRESS_ALLOW: bad })).toHaveLength(1);
  expect(problemsOf({ MUSTER_MAIL_FROM: "Muster <m@example.org>" })).toHaveLength(1);
});
