import { describe, expect, test } from "vitest";
import { hashWithArgon2, unknownHash } from "../../src/users/passwords/argon2-hash.ts";
import { type PasswordHash, parsePasswordHash } from "../../src/users/passwords/password-hash.ts";
import { PASSWORD_VECTORS } from "./password-vectors.ts";

const parsed = (text: string): PasswordHash => {
  const hash = parsePasswordHash(text);
  if (typeof hash === "string") throw new Error(`${text} ${hash}`);
  return hash;
};
const matches = (text: string, password: string) => parsed(text).matches(Buffer.from(password));

test.each(PASSWORD_VECTORS)("%s is the hash of its password and of no other", async (_, password, text) => {
  expect(await matches(text, password)).toBe(true);
  expect(await matches(text, `x${password}`)).toBe(false);
});

test("what bcrypt is given beyond 72 bytes does not count, also where the 72nd byte is within a character", async () => {
  const [, password = "", text = ""] = PASSWORD_VECTORS.find(([source]) => source.includes("more than 72")) ?? [];
  expect(parsed(text).significantBytes).toBe(72);
  expect(await matches(text, password.slice(0, 72))).toBe(true);
  expect(await matches(text, `${password.slice(0, 72)}something else`)).toBe(true);
  expect(await matches(text, password.slice(0, 71))).toBe(false);
  expect(await matches(text, `${password.slice(0, 71)}é`)).toBe(false);
});

test("a password with a NUL has no bcrypt hash", async () => {
  const text = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
  expect(await matches(text, "U*U\0")).toBe(false);
  expect(await matches(text, "U*U\0more")).toBe(false);
});

test("the bits of a bcrypt hash that mean nothing may be set", async () => {
  expect(await matches("$2y$05$CCCCCCCCCCCCCCCCCCCCC/E5YPO9kmyuRGyh0XouQYb4YMJKvyOeX", "U*U")).toBe(true);
});

test("a new hash is argon2id with 19 MiB and two passes, and each has a salt of its own", async () => {
  const [one, other] = await Promise.all([1, 2].map(() => hashWithArgon2(Buffer.from("correct horse"))));
  expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  expect(one).not.toBe(other);
  expect(parsed(one ?? "").isCurrent).toBe(true);
  expect(await matches(one ?? "", "correct horse")).toBe(true);
  expect(await matches(one ?? "", "correct horsf")).toBe(false);
});

test("the hash that stands in for one that is not there has the form and the parameters of a new one", () => {
  expect(unknownHash()).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  expect(unknownHash()).not.toBe(unknownHash());
});

const SALT = "c29tZXNhbHQ";
const HASH = "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

test.each([
  ["argon2id with less memory", `$argon2id$v=19$m=19455,t=2,p=1$${SALT}$${HASH}`],
  ["argon2id with fewer passes", `$argon2id$v=19$m=65536,t=1,p=1$${SALT}$${HASH}`],
  ["argon2id of version 16", `$argon2id$v=16$m=19456,t=2,p=1$${SALT}$${HASH}`],
  ["argon2i", `$argon2i$v=19$m=19456,t=2,p=1$${SALT}$${HASH}`],
  ["bcrypt", "$2b$14$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"],
])("%s is not as strong as a new hash", (_, text) => {
  expect(parsed(text).isCurrent).toBe(false);
});

const LONG_SALT = "A".repeat(87);

describe("is refused:", () => {
  test.each([
    ["nothing", ""],
    ["a password", "password"],
    ["a scheme that is not known", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/"],
    ["argon2d", `$argon2d$v=19$m=65536,t=2,p=1$${SALT}$${HASH}`],
    ["something before the first $", `{x}$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${HASH}`],
    ["something after the hash", `$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${HASH}$`],
    ["a line end", `$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${HASH}\n`],
    ["parameters in another order", `$argon2id$v=19$t=2,m=65536,p=1$${SALT}$${HASH}`],
    ["a parameter with a leading zero", `$argon2id$v=19$m=065536,t=2,p=1$${SALT}$${HASH}`],
    ["a version that does not exist", `$argon2id$v=18$m=65536,t=2,p=1$${SALT}$${HASH}`],
    ["argon2 with too much memory", `$argon2id$v=19$m=131073,t=1,p=1$${SALT}$${HASH}`],
    ["argon2 with less memory than its lanes need", `$argon2id$v=19$m=15,t=1,p=2$${SALT}$${HASH}`],
    ["argon2 with too much work", `$argon2id$v=19$m=131072,t=5,p=1$${SALT}$${HASH}`],
    ["argon2 with too many passes", `$argon2id$v=19$m=8,t=65537,p=1$${SALT}$${HASH}`],
    ["argon2 with too many lanes", `$argon2id$v=19$m=65536,t=1,p=17$${SALT}$${HASH}`],
    ["argon2 without a pass", `$argon2id$v=19$m=65536,t=0,p=1$${SALT}$${HASH}`],
    ["a salt of 7 bytes", `$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbA$${HASH}`],
    ["a salt of 65 bytes", `$argon2id$v=19$m=65536,t=2,p=1$${LONG_SALT}$${HASH}`],
    ["a hash of 15 bytes", `$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${"A".repeat(20)}`],
    ["a hash of 65 bytes", `$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${LONG_SALT}`],
    ["base64 with padding", `$argon2id$v=19$m=65536,t=2,p=1$${SALT}=$${HASH}`],
    ["base64 with stray bits", `$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHR$${HASH}`],
    ["base64 for URLs", `$argon2id$v=19$m=65536,t=2,p=1$${SALT}$${HASH.replace("J", "-")}`],
    ["bcrypt of a broken implementation", "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"],
    ["bcrypt with too high a cost", "$2b$15$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"],
    ["bcrypt with too low a cost", "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"],
    ["bcrypt that is cut off", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe"],
    ["scrypt with too much memory", `$scrypt$ln=17,r=9,p=1$${SALT}$${HASH}`],
    ["scrypt with too much work", `$scrypt$ln=17,r=8,p=3$${SALT}$${HASH}`],
    ["scrypt with a cost beyond any", `$scrypt$ln=64,r=8,p=1$${SALT}$${HASH}`],
    ["PBKDF2 with too many iterations", `$pbkdf2-sha256$i=2000001$${SALT}$${HASH}`],
    ["PBKDF2 with more than one block", `$pbkdf2-sha256$i=1000$${SALT}$${"A".repeat(44)}`],
    ["PBKDF2 with another length than its hash has", `$pbkdf2-sha256$i=1000,l=31$${SALT}$${HASH}`],
    ["PBKDF2 with SHA-1", `$pbkdf2$1000$${SALT}$${HASH}`],
    ["PBKDF2 in the base64 of the other spelling", `$pbkdf2-sha256$1000$${SALT}+A$${HASH}`],
    ["513 bytes", `$2b$05$${"C".repeat(506)}`],
  ])("%s", (_, text) => {
    expect(parsePasswordHash(text)).toBeTypeOf("string");
  });
});

test("no hash of any scheme is done before the event loop has turned: it is computed elsewhere", async () => {
  for (const [source, password, text] of PASSWORD_VECTORS) {
    let done = false;
    const checked = matches(text, password).finally(() => {
      done = true;
    });
    // What is computed here, and only wrapped in a promise, is done after a few microtasks.
    for (let i = 0; i < 100; i++) await Promise.resolve();
    expect.soft(done, source).toBe(false);
    expect(await checked).toBe(true);
  }
});
