/** Imports that the boundaries refuse: in this file, of that. Two that share a file name would hide each other, so all differ. */
export const REFUSED_IMPORTS: [file: string, of: string][] = [
  ["src/users/a-connect.ts", "@connectrpc/connect"],
  ["src/users/a-generated.ts", "../gen/muster/v1/user_pb.ts"],
  ["src/users/its-own-service-side.ts", "./user-service.ts"],
  ["src/users/its-own-message-side.ts", "./user-message.ts"],
  ["src/users/a-rpc.ts", "../rpc/caller.ts"],
  ["src/users/a-orm.ts", "../db/orm.ts"],
  ["src/users/a-later-feature.ts", "../tokens/tokens.ts"],
  ["src/users/a-jose.ts", "jose"],
  ["src/users/a-process.ts", "node:process"],
  ["src/users/a-request.ts", "node:https"],
  ["src/senders/a-plain-request.ts", "node:http"],
  ["src/tokens/a-session-of-http2.ts", "node:http2"],
  ["src/projects/a-lookup.ts", "node:dns/promises"],
  ["src/app.ts", "node:https"],
  ["src/sessions/an-undici.ts", "undici"],
  ["src/presence/a-private-file.ts", "../users/upsert-user.ts"],
  ["src/presence/a-service.ts", "../users/user-service.ts"],
  ["src/rpc/a-feature.ts", "../users/users.ts"],
  ["src/rpc/a-jose.ts", "jose"],
  ["src/db/a-feature.ts", "../users/users.ts"],
  ["src/db/an-rpc.ts", "../rpc/caller.ts"],
  ["src/users/a.entity.ts", "../ids.ts"],
  ["src/server.ts", "jose"],
  ["src/ids.ts", "./main.ts"],
];

/** Code that a rule refuses. */
export const REFUSED_CODE: [rule: string, what: string, code: string, file?: string][] = [
  ["no-restricted-imports", "a re-export of Connect", 'export { Code } from "@connectrpc/connect";'],
  ["no-restricted-imports", "a late import of Connect", 'export const a = () => import("@connectrpc/connect");'],
  [
    "no-restricted-imports",
    "a type of the wire",
    'import type { a } from "../gen/a_pb.ts";\nexport type A = typeof a;',
  ],
  [
    "no-cycle",
    "a circle of imports",
    'import { two } from "./two.ts";\nexport const one = (): unknown => two;',
    "one.ts",
  ],
  ["no-restricted-globals", "the process", "export const a = process.pid;"],
  ["no-restricted-globals", "a request past the guard", 'export const a = () => fetch("https://muster.test");'],
  ["no-restricted-globals", "a timer", "export const a = () => setTimeout(() => {}, 1);"],
  ["no-restricted-globals", "the machine's steady time", "export const a = () => performance.now();"],
  ["no-restricted-properties", "the machine's time", "export const a = () => Date.now();"],
  ["no-restricted-properties", "weak randomness", "export const a = () => Math.random();"],
  ["no-console", "printing", "export const a = () => console.log(1);"],
  ["no-floating-promises", "a lost promise", "const work = async () => 1;\nexport const a = () => {\n  work();\n};"],
  ["no-misused-promises", "a promise as condition", "const b = async () => 1;\nexport const a = () => (b() ? 1 : 2);"],
  [
    "switch-exhaustiveness-check",
    "a forgotten case",
    'export function a(b: "one" | "two") {\n  switch (b) {\n    case "one":\n      return 1;\n  }\n  return 2;\n}',
  ],
  ["no-explicit-any", "any", "export const a = (value: any) => value;"],
  ["no-default-export", "a default export", "export default 1;"],
  ["only-throw-error", "a thrown string", 'export const a = () => {\n  throw "a";\n};'],
  ["consistent-type-imports", "a type imported as value", 'import { A } from "./two.ts";\nexport type B = A;'],
  ["max-lines", "a file of 301 lines", "export {};\n".repeat(301)],
  ["function length", "a function of 41 lines", `export function a() {\n${"  a();\n".repeat(39)}}`],
  ["filename-case", "a name in camel case", "export const a = 1;", "camelCase.ts"],
  ["no-disabled-tests", "a skipped test", 'import { test } from "vitest";\ntest.skip("a", () => {});', "skip.test.ts"],
  ["no-focused-tests", "a lone test", 'import { test } from "vitest";\ntest.only("a", () => {});', "only.test.ts"],
  ["clock", "the machine's date", "export const a = () => new Date();"],
  ["environment", "an environment variable", 'export const a = (b: Record<string, string>) => b["MUSTER_PORT"];'],
  ["module state", "a mutable module", "let a = 1;\nexport const b = () => a++;"],
  ["barrel", "a barrel", 'export * from "./two.ts";'],
  ["drawer", "a drawer", "export const a = 1;", "user-utils.ts"],
  ["ambient context", "hidden context", 'export { AsyncLocalStorage } from "node:async_hooks";'],
  ["unfinished", "something unfinished", "// TODO: later\nexport const a = 1;"],
  ["doc comment", "a function that says nothing of itself", "export function a() {\n  return 1;\n}"],
  [
    "service method",
    "a service's method of 16 lines",
    `export const aService = () => ({\n  get() {\n${"    a();\n".repeat(14)}  },\n});`,
    "long-service.ts",
  ],
];

/** The same things where they belong: nothing refuses them. */
export const ACCEPTED_CODE: [file: string, code: string][] = [
  ["src/tokens/jose.ts", 'import { jwtVerify } from "jose";\nexport const a = jwtVerify;'],
  ["src/tokens/database.ts", 'import type { Database } from "../db/orm.ts";\nexport type A = Database;'],
  ["src/presence/users.ts", 'import { users } from "../users/users.ts";\nexport const a = users;'],
  ["src/users/good-service.ts", 'import { Code } from "@connectrpc/connect";\nexport const a = Code;'],
  ["src/users/good.entity.ts", 'import { defineEntity } from "@mikro-orm/core";\nexport const a = defineEntity;'],
  ["src/clock.ts", "/** Time. */\nexport const now = () => [Date.now(), performance.now(), new Date()];"],
  ["src/main.ts", "export const a = process.pid;"],
];

/** What stands around all of these. */
export const SURROUNDINGS: [file: string, code: string][] = [
  ["src/users/two.ts", 'import { one } from "./one.ts";\nexport type A = 1;\nexport const two = (): unknown => one;'],
  ["src/users/users.ts", "export const users = 1;"],
  ["src/db/orm.ts", "export type Database = number;"],
];
