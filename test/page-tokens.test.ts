import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { MusterError } from "../src/errors.ts";
import { createPageTokens, type PageContext, type PageTokens } from "../src/page-tokens.ts";

const key = randomBytes(32);
const tokens = createPageTokens([key]);
const context: PageContext = { list: "users", projectId: "p1", query: [["a"], "desc"] };
const position = ["2026-01-01 00:00:00.123456+00", "id-1"];

const isRead = (token: string, by: PageTokens = tokens, of: PageContext = context): boolean => {
  try {
    expect(by.read(of, token)).toEqual(position);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(MusterError);
    expect(error).toMatchObject({ reason: "REQUEST_INVALID", extra: { violations: [{ field: "page_token" }] } });
    return false;
  }
};

test("a token gives back the position it was made of, however often", () => {
  const token = tokens.issue(context, position);
  expect([isRead(token), isRead(token)]).toEqual([true, true]);
  expect(tokens.read(context, tokens.issue(context, [null, "ünïcödé 🎈"]))).toEqual([null, "ünïcödé 🎈"]);
});

test("a token with any other character in any place, or one more or less, is refused", () => {
  const token = tokens.issue(context, position);
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/ ";
  for (let i = 0; i < token.length; i++)
    for (const other of alphabet.replace(token.charAt(i), ""))
      expect(isRead(token.slice(0, i) + other + token.slice(i + 1))).toBe(false);
  for (const other of [
    token.slice(0, -1),
    token.slice(1),
    `${token}A`,
    `${token}=`,
    ` ${token}`,
    "A",
    "",
    token.repeat(2),
  ])
    expect(isRead(other)).toBe(false);
});

test("a token is bound to its list, its project and its query", () => {
  const token = tokens.issue(context, position);
  for (const other of [
    { list: "events" },
    { projectId: "p2" },
    { query: [["a"], "asc"] },
    { query: [["a", "b"], "desc"] },
  ])
    expect(isRead(token, tokens, { ...context, ...other })).toBe(false);
});

test("after a rotation of the keys tokens go on being valid until the old key goes", () => {
  const token = tokens.issue(context, position);
  const next = randomBytes(32);
  expect(isRead(token, createPageTokens([next, key]))).toBe(true);
  expect(isRead(token, createPageTokens([next]))).toBe(false);
  expect(isRead(createPageTokens([next, key]).issue(context, position), tokens)).toBe(false);
});
