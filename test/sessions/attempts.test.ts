import { expect, test, vi } from "vitest";
import { MusterError } from "../../src/errors.ts";
import { addressPrefix } from "../../src/sessions/attempts/address-prefix.ts";
import { createAttempts } from "../../src/sessions/attempts/attempts.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
const attempts = createAttempts(db, 1);
const from = (prefix: string, name: string, projectId = "p") =>
  attempts.admit({ projectId, identifier: ["login", name], prefix });
const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => "none",
    (error: unknown) => (error instanceof MusterError ? error.reason : error),
  );

test("addresses of one subscriber have one prefix", () => {
  expect(addressPrefix("192.0.2.7")).toBe(addressPrefix("192.0.2.250"));
  expect(addressPrefix("192.0.3.7")).not.toBe(addressPrefix("192.0.2.7"));
  expect(addressPrefix("2001:db8:0:1::7")).toBe(addressPrefix("2001:0db8:0000:0001:ffff::1"));
  expect(addressPrefix("2001:db8::7")).toBe("2001:db8:0:0::/64");
  expect(addressPrefix("2001:db8:0:2::7")).not.toBe(addressPrefix("2001:db8:0:1::7"));
  expect(addressPrefix("::1")).toBe("0:0:0:0::/64");
  expect(addressPrefix("")).toBe("");
});

test("each row of five failures is followed by a longer wait, until one succeeds", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  const waitAfterFive = async () => {
    for (let n = 0; n < 5; n++) await (await from("here", "guessed")).failed();
    const error: unknown = await from("here", "guessed").catch((refusal: unknown) => refusal);
    const waitMs = (error as MusterError).extra.retryAfterMs ?? 0;
    vi.setSystemTime(Date.now() + waitMs);
    return waitMs / 1_000;
  };
  expect([await waitAfterFive(), await waitAfterFive(), await waitAfterFive()]).toEqual([60, 120, 240]);
  await (await from("here", "guessed")).succeeded();
  expect(await waitAfterFive()).toBe(60);
  vi.useRealTimers();
});

test("a hundred at once have no more tries than one after the other", async () => {
  const reasons = await Promise.all(Array.from({ length: 100 }, () => reasonOf(from("here", "target"))));
  expect(reasons.filter((reason) => reason === "none")).toHaveLength(5);
  expect(reasons.filter((reason) => reason === "RATE_LIMITED")).toHaveLength(95);
});

test("strangers who guess from everywhere do not keep out one who comes from where it came from before", async () => {
  await (await from("home", "owner")).succeeded();
  for (let place = 0; place < 20; place++) await (await from(`stranger ${place}`, "owner")).failed();
  expect(await reasonOf(from("one more", "owner"))).toBe("RATE_LIMITED");
  expect(await reasonOf(from("home", "owner"))).toBe("none");
  expect(await reasonOf(from("one more", "somebody else"))).toBe("none");
  expect(await reasonOf(from("one more", "owner", "another project"))).toBe("none");
});

test("who is kept out for strangers' guesses is let in once the wait is over", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  for (let place = 0; place < 20; place++) await (await from(`${place}`, "roaming")).failed();
  for (let n = 0; n < 10; n++) expect(await reasonOf(from("new", "roaming"))).toBe("RATE_LIMITED");
  vi.setSystemTime(Date.now() + 60_001);
  await (await from("new", "roaming")).succeeded();
  vi.useRealTimers();
});

test("one place has fifty tries for all users together, and what succeeds counts as none", async () => {
  for (let n = 0; n < 60; n++) await (await from("office", `worker ${n}`)).succeeded();
  for (let n = 0; n < 50; n++) await (await from("office", `guess ${n}`)).failed();
  expect(await reasonOf(from("office", "worker 1"))).toBe("RATE_LIMITED");
  expect(await reasonOf(from("elsewhere", "worker 1"))).toBe("none");
});

test("of new users and guests one place has so many an hour", async () => {
  for (let n = 0; n < 20; n++) await attempts.admitNewUser("p", "farm", "user");
  expect(await reasonOf(attempts.admitNewUser("p", "farm", "user"))).toBe("RATE_LIMITED");
  expect(await reasonOf(attempts.admitNewUser("p", "farm", "guest"))).toBe("none");
  expect(await reasonOf(attempts.admitNewUser("p", "", "user"))).toBe("none");
});

test("one email is sent three mails an hour, one place has twenty sent", async () => {
  const admitted = async (address: string, place: string) => attempts.admitMail("p", address, place);
  const outcomes: boolean[] = [];
  for (let n = 0; n < 4; n++) outcomes.push(await admitted("a@example.org", `place ${n}`));
  expect(outcomes).toEqual([true, true, true, false]);
  for (let n = 0; n < 20; n++) expect(await admitted(`${n}@example.org`, "post office")).toBe(true);
  expect(await admitted("21@example.org", "post office")).toBe(false);
});

test("the table names nobody", async () => {
  await (await from("192.0.2.0/24", "somebody@example.org")).failed();
  const { rows } = await db.pool.query<{ key: string }>("select key from attempts");
  expect(rows.map(({ key }) => key).join("\n")).not.toMatch(/somebody|example|192\.0/);
});
