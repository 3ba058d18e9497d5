/**
 * Who may import whom. A list names everything its files may import; what is not listed is refused, so that a new way between two
 * rooms is a change of this file. Read like a .gitignore: `*` stops at a folder, `**` does not, the last pattern that matches
 * decides, and a leading `-` takes back what an earlier one gave.
 */
export interface Room {
  /** For the message of a refusal. */
  readonly name: string;
  readonly files: readonly string[];
  readonly mayImport: readonly string[];
  /** What it may import types from, besides: whole paths, as they are written. */
  readonly typesOnly?: readonly string[];
}

const BESIDE = "./*";
/** Node's modules, without those by which HTTP leaves the process: that is what egress/ is for. */
const NODE = [
  "node:*",
  "node:*/*",
  "-node:process",
  "-node:dns",
  "-node:dns/*",
  "-node:http",
  "-node:http2",
  "-node:https",
];
const FOUNDATION = [
  "**/alarm.ts",
  "**/bell.ts",
  "**/clock.ts",
  "**/ids.ts",
  "**/errors.ts",
  "**/etag.ts",
  "**/logger.ts",
  "**/sealing.ts",
  "**/page-tokens.ts",
  "**/paged-news.ts",
  "**/pulled-stream.ts",
  "**/skeleton.ts",
  "**/recent.ts",
  ...NODE,
];
/** How HTTP leaves the process. */
const EGRESS = ["**/egress/egress.ts", "**/egress/check-url.ts"];
const WIRE = ["**/gen/**", "@connectrpc/**", "@bufbuild/**"];
const TELEMETRY = ["pino", "prom-client", "@opentelemetry/**"];
const DATABASE = [
  ...["transaction", "statement", "act", "recorded", "steps", "look-up", "read-consistently", "rehearse"],
  ...["constraints", "listener", "notifier", "last-known", "sealed-column", "answer-within"],
].map((file) => `**/db/${file}.ts`);

/** What a service asks of a call beside its message. */
const OF_A_CALL = ["caller", "client-address", "sign-in-project", "plain-http", "session-cookies"].map(
  (file) => `**/rpc/${file}.ts`,
);

/** A feature, the public files of others it may import (one way: no circles), and packages that are its own. */
const FEATURES = [
  { name: "events", others: ["projects/projects.ts"], packages: [] },
  { name: "audit", others: [], packages: [] },
  { name: "export", others: [], packages: [] },
  { name: "revocations", others: [], packages: [] },
  { name: "projects", others: ["revocations/revocations.ts"], packages: ["re2js"] },
  {
    name: "users",
    others: [
      "export/export-document.ts",
      "projects/projects.ts",
      "revocations/revocations.ts",
      "senders/senders.ts",
      // For the bucket, whose host no other client may call.
      "egress/create-egress.ts",
    ],
    packages: [
      "sharp",
      "aws4fetch",
      "libphonenumber-js/max",
      "@node-rs/argon2",
      "@node-rs/bcrypt",
      "@zxcvbn-ts/language-common",
    ],
  },
  {
    name: "tokens",
    others: ["users/users.ts", "projects/projects.ts", "revocations/revocations.ts"],
    packages: ["jose"],
  },
  {
    name: "sessions",
    others: [
      "users/users.ts",
      "tokens/tokens.ts",
      "projects/projects.ts",
      "revocations/revocations.ts",
      "senders/senders.ts",
    ],
    packages: ["rate-limiter-flexible"],
  },
  {
    name: "external-auth",
    others: [
      "users/users.ts",
      "tokens/tokens.ts",
      "tokens/strict-jwt.ts",
      "tokens/strict-json.ts",
      "tokens/jwt-claims.ts",
      "sessions/sessions.ts",
      "projects/projects.ts",
    ],
    packages: ["jose"],
  },
  { name: "presence", others: ["users/users.ts"], packages: [] },
  { name: "webhooks", others: ["projects/projects.ts", "events/read-events.ts"], packages: [] },
];

/** What every feature hands something to: its events, its jobs, and what it holds of a user. */
const TO_ALL = [
  "events/append-event.ts",
  "audit/append-audit.ts",
  "jobs/job.ts",
  "jobs/expired-rows.ts",
  "export/export-section.ts",
  "export/table-section.ts",
];

const ALL_FEATURES = FEATURES.map(({ name }) => `**/${name}/**`);

function featureRooms({ name, others, packages }: (typeof FEATURES)[number]): Room[] {
  const folder = `src/${name}`;
  const use = [...FOUNDATION, ...DATABASE, ...EGRESS, "@mikro-orm/**", "pg", ...packages];
  const elsewhere = [...TO_ALL, ...others].map((file) => `**/${file}`);
  const own = [BESIDE, "./*/*", "-./*-service.ts", "-./*-message.ts", "-./*-export.ts", "-./*-routes.ts"];
  return [
    {
      name: `A use case of ${name}/`,
      files: [`${folder}/**`],
      mayImport: [...use, ...elsewhere, ...own],
      typesOnly: ["../db/orm.ts"],
    },
    {
      name: `A part of ${name}/`,
      files: [`${folder}/*/**`],
      mayImport: [...use, ...elsewhere, BESIDE, "../*.ts"],
      typesOnly: ["../../db/orm.ts"],
    },
    {
      name: `The wire side of ${name}/`,
      files: ["service", "message", "export", "routes"].map((kind) => `${folder}/*-${kind}.ts`),
      mayImport: [
        ...use,
        ...elsewhere,
        BESIDE,
        "./*/*",
        ...OF_A_CALL,
        "**/users/user-ref-message.ts",
        "**/sessions/grant-message.ts",
        ...WIRE,
      ],
      typesOnly: ["../db/orm.ts", "../rpc/open-streams.ts"],
    },
  ];
}

/** Every room; where two hold a file, the later one counts. */
export const ROOMS: readonly Room[] = [
  {
    name: "The foundation",
    files: ["src/*.ts"],
    mayImport: [
      BESIDE,
      "-./main.ts",
      "-./app.ts",
      "-./features.ts",
      "-./services.ts",
      "-./server.ts",
      "-./listen.ts",
      "./db/database-url.ts",
      ...NODE,
      "pino",
      "**/gen/**",
    ],
  },
  {
    name: "rpc/",
    files: ["src/rpc/**"],
    // It listens by HTTP.
    mayImport: [BESIDE, ...FOUNDATION, "node:http", "node:http2", ...WIRE, ...TELEMETRY, "rate-limiter-flexible"],
    typesOnly: ["../db/act.ts"],
  },
  {
    name: "db/",
    files: ["src/db/**"],
    mayImport: ["./**", "../start-error.ts", ...FOUNDATION, "@mikro-orm/**", "pg", "pg/lib/utils.js"],
  },
  {
    name: "jobs/",
    files: ["src/jobs/**"],
    mayImport: [BESIDE, ...FOUNDATION, ...DATABASE],
    typesOnly: ["../db/orm.ts"],
  },
  {
    name: "senders/",
    files: ["src/senders/**"],
    mayImport: [BESIDE, ...FOUNDATION, "../db/make-folder.ts", "nodemailer", ...EGRESS],
  },
  {
    name: "egress/",
    files: ["src/egress/**"],
    mayImport: [BESIDE, ...FOUNDATION, "node:dns/promises", "node:http", "node:https", "../setting-values.ts"],
  },
  ...FEATURES.flatMap(featureRooms),
  {
    name: "Presences in Redis",
    files: ["src/presence/redis/**"],
    mayImport: [
      ...FOUNDATION,
      ...DATABASE,
      BESIDE,
      "../*.ts",
      "../../setting-values.ts",
      "../../users/users.ts",
      "@redis/client",
    ],
    typesOnly: ["../../db/orm.ts"],
  },
  {
    name: "The client",
    files: ["src/client/**"],
    mayImport: [
      BESIDE,
      "../clock.ts",
      "../errors.ts",
      ...["jwt-claims", "signature-cache", "strict-json", "strict-jwt"].map((file) => `../tokens/${file}.ts`),
      "node:crypto",
      ...WIRE,
    ],
  },
  { name: "An entity", files: ["src/**/*.entity.ts"], mayImport: ["@mikro-orm/**"] },
  {
    name: "The composition root",
    files: [
      "src/app.ts",
      "src/features.ts",
      "src/services.ts",
      "src/server.ts",
      "src/listen.ts",
      "src/entities.ts",
      "src/export-sections.ts",
      "src/external-profiles.ts",
      "src/plain-routes.ts",
      "src/sealed-columns.ts",
    ],
    mayImport: [
      BESIDE,
      "-./main.ts",
      "./db/**",
      "./rpc/**",
      "./senders/senders.ts",
      ...EGRESS,
      "./egress/create-egress.ts",
      "./jobs/jobs.ts",
      ...ALL_FEATURES,
      "@mikro-orm/core",
      ...NODE,
      ...WIRE,
      ...TELEMETRY,
    ],
  },
  {
    name: "The command line",
    files: ["src/cli/**"],
    mayImport: [
      BESIDE,
      "./bulk/*",
      "../*.ts",
      "-../main.ts",
      ...FOUNDATION,
      // Its calls to the server that it is told to call keep their connections.
      "node:http",
      "node:https",
      ...WIRE,
      "**/db/**",
      ...ALL_FEATURES,
      "commander",
    ],
  },
  {
    name: "A part of the command line",
    files: ["src/cli/*/**"],
    // A row is held against the server's own check of values before it is sent.
    mayImport: [BESIDE, "../*.ts", "../../start-error.ts", ...FOUNDATION, ...WIRE, "**/rpc/strict-decode-checks.ts"],
  },
  {
    name: "main.ts",
    files: ["src/main.ts"],
    mayImport: [BESIDE, "./cli/**", "./db/**", "node:*", "node:*/*", ...TELEMETRY, "commander"],
  },
];
