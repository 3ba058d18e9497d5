import { expect, test } from "vitest";
import { parseDatabaseUrl } from "../../src/db/database-url.ts";

test.each([
  ["postgres://u:p@h:6432/d", { host: "h", port: 6432, user: "u", password: "p", database: "d" }],
  ["postgresql://u@h/d", { host: "h", port: 5432, user: "u", database: "d" }],
  ["postgres://u%40x:p%2F%3A%40@h/d%20e", { host: "h", port: 5432, user: "u@x", password: "p/:@", database: "d e" }],
  ["postgres://u:p@[::1]:5433/d", { host: "::1", port: 5433, user: "u", password: "p", database: "d" }],
  ["postgres://u@/d?host=/var/run/postgresql", { host: "/var/run/postgresql", port: 5432, user: "u", database: "d" }],
  ["postgres://u@/d?host=%2Frun&port=5444", { host: "/run", port: 5444, user: "u", database: "d" }],
  ["postgres://u@h/d?sslmode=disable", { host: "h", port: 5432, user: "u", database: "d" }],
  ["postgres://u@h/d?sslmode=require", { host: "h", port: 5432, user: "u", database: "d", tls: { verify: false } }],
  ["postgres://u@h/d?sslmode=verify-full", { host: "h", port: 5432, user: "u", database: "d", tls: { verify: true } }],
])("%s names a database", (url, address) => {
  expect(parseDatabaseUrl(url)).toEqual(address);
});

test.each([
  ["mysql://u@h/d", "look like"],
  ["h:5432/d", "look like"],
  ["postgres://u:p/q@h/d", "look like"],
  ["postgres://h/d", "name a user"],
  ["postgres://u@h", "name a database"],
  ["postgres://u@h:70000/d", "port"],
  ["postgres://u%zz@h/d", "percent-encoded"],
  ["postgres://u@h/d?sslmode=prefer", "sslmode"],
  ["postgres://u@h/d?sslmode=constructor", "sslmode"],
  ["postgres://u@h/d?ssl=true", "parameters"],
  ["postgres://u@/d?host=/run&sslmode=require", "unix socket"],
])("%s is refused", (url, why) => {
  expect(() => parseDatabaseUrl(url)).toThrow(why);
});
