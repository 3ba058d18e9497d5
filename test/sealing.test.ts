import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createSealer } from "../src/sealing.ts";

const context = { purpose: "signing-key", projectId: "p1", id: "k1" };
const secret = Buffer.from("the private half");

describe("a sealer", () => {
  test("opens what it sealed", () => {
    const sealer = createSealer([randomBytes(32)]);
    expect(sealer.open(sealer.seal(secret, context), context)).toEqual(secret);
  });

  test("opens an empty secret", () => {
    const sealer = createSealer([randomBytes(32)]);
    expect(sealer.open(sealer.seal(Buffer.alloc(0), context), context)).toEqual(Buffer.alloc(0));
  });

  test("never gives the same bytes twice, and never the secret", () => {
    const sealer = createSealer([randomBytes(32)]);
    const [one, other] = [sealer.seal(secret, context), sealer.seal(secret, context)];
    expect(one).not.toEqual(other);
    expect(one.includes(secret)).toBe(false);
  });

  test.each([
    ["another project", { ...context, projectId: "p2" }],
    ["another id", { ...context, id: "k2" }],
    ["another purpose", { ...context, purpose: "webhook-secret" }],
    ["parts shifted against each other", { ...context, projectId: "p1k", id: "1" }],
    ["a quote in a part", { ...context, projectId: 'p1","k1', id: "" }],
  ])("does not open for %s", (_name, other) => {
    const sealer = createSealer([randomBytes(32)]);
    const sealed = sealer.seal(secret, context);
    expect(() => sealer.open(sealed, other)).toThrow("belongs elsewhere");
  });

  test("seals under the first key and opens under all", () => {
    const [old, fresh] = [randomBytes(32), randomBytes(32)];
    const sealedBefore = createSealer([old]).seal(secret, context);
    const rotated = createSealer([fresh, old]);
    expect(rotated.open(sealedBefore, context)).toEqual(secret);
    const sealedAfter = rotated.seal(secret, context);
    expect(createSealer([fresh]).open(sealedAfter, context)).toEqual(secret);
    expect(() => createSealer([old]).open(sealedAfter, context)).toThrow("not configured");
  });

  test("does not open what was changed in any byte, or cut anywhere", () => {
    const sealer = createSealer([randomBytes(32)]);
    const sealed = sealer.seal(secret, context);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => sealer.open(changed, context), `byte ${at}`).toThrow("does not open");
      expect(() => sealer.open(sealed.subarray(0, at), context), `length ${at}`).toThrow("does not open");
    }
    expect(() => sealer.open(Buffer.concat([sealed, Buffer.of(0)]), context)).toThrow("does not open");
  });

  test.each([[[]], [[randomBytes(16)]], [[randomBytes(33)]], [[randomBytes(32), Buffer.alloc(0)]]])(
    "is not made without a key of 32 bytes (%#)",
    (keys) => {
      expect(() => createSealer(keys)).toThrow(RangeError);
    },
  );
});
