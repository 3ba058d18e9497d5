import { expect, test } from "vitest";
import confusables from "../src/confusables.json" with { type: "json" };
import { skeletonOf } from "../src/skeleton.ts";
import { visualOrder } from "../src/visual-order.ts";

test.each([
  ["letters of two scripts", "сосо", "coco"],
  ["letters of two scripts in capitals", "КОТ", "KOT"],
  ["Greek and Latin letters", "νουο", "vouo"],
  ["rn and m", "corn", "com"],
  ["0 and O", "b0b", "BOB"],
  ["1 and l", "paypa1", "paypal"],
  ["I and l", "AIice", "Alice"],
  ["I and 1", "user.I", "user.1"],
  ["an initial that is a capital to its reader", "ian", "lan"],
  ["a letter without its dot", "kapı", "kapi"],
  ["an initial without its dot", "ıstanbul", "istanbul"],
  ["initials of two scripts", "іоо", "ioo"],
  ["a letter that is one sign or two", "kœln", "koeln"],
  ["the same letters in capitals", "Straße", "straße"],
  ["a number before or after Hebrew", "אליס42", "42אליס"],
  ["a number before or after Arabic", "علي7", "7علي"],
  ["a sign before or after Hebrew and a number", "דן.12", "12.דן"],
])("%s have one skeleton: %s, %s", (_, one, other) => {
  expect(skeletonOf(one)).toBe(skeletonOf(other));
});

test.each([
  ["another letter", "alice", "alicia"],
  ["small i and l within a word", "neil", "nell"],
  ["an accent", "jose", "josé"],
  ["a sign", "a.lice", "a-lice"],
  ["the order of letters", "אב", "בא"],
  ["the order of numbers", "אב12", "אב21"],
  ["letters that look like others in capitals alone", "ναν", "nan"],
])("%s tells two apart: %s, %s", (_, one, other) => {
  expect(skeletonOf(one)).not.toBe(skeletonOf(other));
});

test.each([
  ["abc 12", "abc 12"],
  ["אבג", "גבא"],
  ["אב12", "12בא"],
  ["12אב", "12בא"],
  ["אב1.2", "1.2בא"],
  ["אב1@2", "2@1בא"],
  ["علي1+2", "2+1يلع"],
  ["אב1+2", "1+2בא"],
  ["م1.\u064f0ى", "ى0.\u064f1م"],
  ["_אב_", "_בא_"],
  ["אב_גד", "דג_בא"],
  ["שָׁלוֹם", "םוֹלשָׁ"],
  ["אב-cd-ef", "בא-cd-ef"],
])("%j is seen from left to right as %j", (text, shown) => {
  expect(visualOrder(text)).toBe(shown);
});

test("the table of confusables is of Unicode 18, and what stands for others stands for itself", () => {
  const prototypes = new Map(Object.entries(confusables.prototypes));
  expect(confusables.unicode).toBe("18.0.0");
  expect(prototypes.size).toBeGreaterThan(2_500);
  expect([...prototypes.values()].filter((to) => Array.from(to).some((letter) => prototypes.has(letter)))).toEqual([]);
});

test("no login has a skeleton that is too long for an index", () => {
  const longest = skeletonOf("\uaf66".repeat(70));
  expect(Array.from(longest).length).toBe(255);
  expect(Buffer.byteLength(longest)).toBeLessThan(2_000);
});
