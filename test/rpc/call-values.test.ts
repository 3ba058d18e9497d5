import { createContextKey } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { CallValues } from "../../src/rpc/call-values.ts";

const NUMBER = createContextKey(7);
const TEXT = createContextKey<string | undefined>("nothing");

test("what is noted of a call is what was noted last, and the key's own value where nothing was", () => {
  const values = new CallValues();
  expect([values.get(NUMBER), values.get(TEXT)]).toEqual([7, "nothing"]);
  values.set(NUMBER, 1).set(TEXT, undefined).set(NUMBER, 2);
  expect([values.get(NUMBER), values.get(TEXT)]).toEqual([2, undefined]);
  values.delete(NUMBER).delete(createContextKey(0));
  expect([values.get(NUMBER), values.get(TEXT)]).toEqual([7, undefined]);
  expect(new CallValues().get(TEXT)).toBe("nothing");
});
