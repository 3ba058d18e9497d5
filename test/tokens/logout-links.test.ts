import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createLogoutLinks } from "../../src/tokens/logout-links.ts";

const SUBJECT = {
  projectId: "019e830e-1cef-7227-a35b-b585a4134528",
  userId: "019e830e-1cef-7227-a35b-b585a4134529",
  tokenId: "019e830e-1cef-7227-a35b-b585a413452a",
  issuedAt: 1_780_000_000_000,
  expiresAt: 1_780_086_400_000,
};
const [old, current] = [randomBytes(32), randomBytes(32)];
const links = createLogoutLinks([current], "https://id.example/auth/");
const tokenOf = (url: string): string => new URL(url).searchParams.get("token") ?? "";

test("a link leads to the public URL, and its token names what it ends", () => {
  const url = links.urlOf(SUBJECT);
  expect(url).toMatch(/^https:\/\/id\.example\/auth\/logout\?token=mlo_[A-Za-z0-9_-]{123}$/);
  expect(links.read(tokenOf(url))).toEqual(SUBJECT);
});

test("a token of which any character is another one, or that is longer or shorter, is none", () => {
  const token = tokenOf(links.urlOf(SUBJECT));
  for (let at = 0; at < token.length; at++)
    for (const other of ["A", "b", "0", "-", "_", "=", ".", "+", "/", " ", "\u00e9"].filter((it) => it !== token[at]))
      expect(links.read(token.slice(0, at) + other + token.slice(at + 1)), `at ${at}: ${other}`).toBeUndefined();
  for (let length = 0; length < token.length; length++) expect(links.read(token.slice(0, length))).toBeUndefined();
  for (const more of ["A", "=", "==", " ", "\n", ".", "&"]) expect(links.read(token + more)).toBeUndefined();
});

test("while the encryption key is rotated, links of both keys are good; those of a key that is gone are not", () => {
  const before = tokenOf(createLogoutLinks([old], "https://id.example").urlOf(SUBJECT));
  const between = createLogoutLinks([current, old], "https://id.example");
  expect(between.read(before)).toEqual(SUBJECT);
  expect(links.read(tokenOf(between.urlOf(SUBJECT)))).toEqual(SUBJECT);
  expect(links.read(before)).toBeUndefined();
});
