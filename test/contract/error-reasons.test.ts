import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { commentAt, PATHS, readContract } from "../../scripts/reference/descriptors.ts";
import { ERRORS } from "../../src/errors.ts";
import { ErrorReason } from "../../src/gen/muster/v1/error_reason_pb.ts";

const REASONS = Object.keys(ErrorReason).filter((name) => name !== "UNSPECIFIED");
const contract = readContract();

test("the table of errors has every reason of the contract and no other", () => {
  expect(Object.keys(ERRORS).toSorted()).toEqual(REASONS.toSorted());
});

test("the contract states for each reason the code that the table gives it", () => {
  const reasons = contract.enums.find((it) => it.name === "ErrorReason");
  const stated = reasons?.values.slice(1).map(({ localName }, index) => {
    const path = [PATHS.enum, reasons.file.enums.indexOf(reasons), PATHS.value, index + 1];
    return [localName, commentAt(reasons.file, path).split(".")[0]];
  });
  // gRPC writes with two l what Connect writes with one.
  const given = Object.entries(ERRORS).map(([reason, { code }]) => [
    reason,
    code.replace("canceled", "cancelled").toUpperCase(),
  ]);
  expect(Object.fromEntries(stated ?? [])).toEqual(Object.fromEntries(given));
});

test("the reasons that the comment of an RPC names exist", () => {
  const named = contract.services.flatMap((service) => {
    const path = [PATHS.service, service.file.services.indexOf(service), PATHS.method];
    const comments = service.methods.map((_, index) => commentAt(service.file, [...path, index]));
    return comments.flatMap((text) => text.match(/\b[A-Z]+(_[A-Z]+)+\b/g) ?? []);
  });
  expect(named).not.toEqual([]);
  expect(named.filter((name) => !REASONS.includes(name))).toEqual([]);
});

describe("some test asserts the reason", () => {
  const here = basename(import.meta.filename);
  const asserted = new Set(
    globSync("test/**/*.test.ts")
      .filter((path) => basename(path) !== here)
      .flatMap((path) => [...readFileSync(path, "utf8").matchAll(/(?:["'`]|Reason\.)([A-Z_]+)\b/g)].map((it) => it[1])),
  );

  test.each(REASONS)("%s", (reason) => {
    expect(asserted.has(reason)).toBe(true);
  });
});
