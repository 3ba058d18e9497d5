import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startMailServer } from "../support/mail-server.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp, type TestProject } from "../support/start-app.ts";
import { unfaithfulLocators } from "../support/unfaithful-locators.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";

const mail = await startMailServer();
const sms = await startWebhookReceiver();
const app = await startApp({
  config: {
    smtp: { host: "127.0.0.1", port: mail.port, tls: false },
    mailFrom: "codes@muster.example",
    smsWebhook: { url: sms.url, secret: randomBytes(32) },
    egressAllow: [new URL(sms.url).host],
  },
});

const alice = { ref: { case: "externalId" as const, value: "alice" } };
const me = { ref: { case: "me" as const, value: true } };
const address = { type: LocatorType.EMAIL, value: "Alice@example.org" };
const MINUTE_MS = 60_000;

const codeIn = (text: string | undefined) => /code for Test is (\d{8})\./.exec(text ?? "")?.[1] ?? "none";
const lastCode = () => codeIn(mail.received.at(-1)?.message);
const wrong = (code: string) => String((Number(code) + 1) % 10 ** 8).padStart(8, "0");

async function withAlice(): Promise<TestProject> {
  const project = await app.project();
  await project.system(UserService).upsertUser({ externalId: "alice", user: { email: address.value } });
  return project;
}

test("a code that is sent by mail verifies the address it was sent to, once", async () => {
  const { id, system } = await withAlice();
  const users = system(UserService);
  await users.requestLocatorVerification({ ref: alice, locator: address });
  const received = mail.received.at(-1);
  expect(received).toMatchObject({ from: "codes@muster.example", to: ["Alice@example.org"] });
  expect(received?.message).toMatch(/^Subject: Test: your verification code\r$/m);
  const code = lastCode();
  const verify = () => users.verifyLocator({ ref: alice, locator: { ...address, value: "ALICE@example.org" }, code });
  const { user } = await verify();
  expect(user).toMatchObject({ emailVerified: true, locators: [{ verified: true, primary: true }] });
  expect(await reasonOf(verify())).toBe("VERIFICATION_CODE_INVALID");
  expect(await unfaithfulLocators(app.db, id)).toEqual([]);
});

test("an address that is verified is sent nothing", async () => {
  const users = (await withAlice()).system(UserService);
  await users.updateUser({ ref: alice, user: { emailVerified: true } });
  const before = mail.received.length;
  await users.requestLocatorVerification({ ref: alice, locator: address });
  expect(mail.received).toHaveLength(before);
});

test("an address that is not the primary one, with a quoted local part and an IDN, is sent its code in A-labels", async () => {
  const users = (await withAlice()).system(UserService);
  const locator = { type: LocatorType.EMAIL, value: '"a,b"@münchen.example' };
  await users.addLocator({ ref: alice, locator });
  await users.requestLocatorVerification({ ref: alice, locator });
  expect(mail.received.at(-1)?.message).toMatch(/^To: <"a,b"@xn--mnchen-3ya\.example>\r$/m);
  const { user } = await users.verifyLocator({ ref: alice, locator, code: lastCode() });
  expect(user).toMatchObject({ emailVerified: false, locators: [{ verified: false }, { verified: true }] });
});

test("a user verifies its own address, and nobody else's", async () => {
  const { system, signedInUser } = await app.project();
  const own = app.client(UserService, (await signedInUser("alice")).token);
  const other = app.client(UserService, (await signedInUser("bob")).token);
  await own.addLocator({ ref: me, locator: address });
  await own.requestLocatorVerification({ ref: me, locator: address });
  const code = lastCode();
  expect(await reasonOf(other.verifyLocator({ ref: alice, locator: address, code }))).toBe("PRINCIPAL_NOT_ALLOWED");
  expect(await reasonOf(other.verifyLocator({ ref: me, locator: address, code }))).toBe("LOCATOR_NOT_FOUND");
  expect(await reasonOf(other.requestLocatorVerification({ ref: alice, locator: address }))).toBe(
    "PRINCIPAL_NOT_ALLOWED",
  );
  expect(await reasonOf(other.requestLocatorVerification({ ref: me, locator: address }))).toBe("LOCATOR_NOT_FOUND");
  expect((await own.verifyLocator({ ref: me, locator: address, code })).user?.emailVerified).toBe(true);
  expect((await system(UserService).getUser({ ref: alice })).user?.emailVerified).toBe(true);
});

test("a code is good for five tries and 15 minutes, and one that is sent anew takes its place", async () => {
  const users = (await withAlice()).system(UserService);
  const request = () => users.requestLocatorVerification({ ref: alice, locator: address });
  const verify = (code: string) => users.verifyLocator({ ref: alice, locator: address, code });
  await request();
  const first = lastCode();
  for (let i = 0; i < 5; i++) expect(await reasonOf(verify(wrong(first)))).toBe("VERIFICATION_CODE_INVALID");
  expect(await reasonOf(verify(first))).toBe("VERIFICATION_CODE_INVALID");
  await app.clock.advance(MINUTE_MS);
  await request();
  const second = lastCode();
  await app.clock.advance(15 * MINUTE_MS);
  expect(await reasonOf(verify(second))).toBe("VERIFICATION_CODE_INVALID");
  await request();
  const third = lastCode();
  expect(await reasonOf(verify(second))).toBe("VERIFICATION_CODE_INVALID");
  await app.clock.advance(15 * MINUTE_MS - 1);
  expect((await verify(third)).user?.emailVerified).toBe(true);
});

test("of racing calls with one code one verifies, and racing guesses are all counted", async () => {
  const users = (await withAlice()).system(UserService);
  await users.requestLocatorVerification({ ref: alice, locator: address });
  const code = lastCode();
  const verify = (guess: string) => users.verifyLocator({ ref: alice, locator: address, code: guess });
  const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => verify(code)));
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  const { user } = await users.addLocator({ ref: alice, locator: { type: LocatorType.EMAIL, value: "b@example.org" } });
  const locator = { type: LocatorType.EMAIL, value: user?.locators[1]?.value ?? "" };
  await users.requestLocatorVerification({ ref: alice, locator });
  const right = lastCode();
  await Promise.allSettled(
    Array.from({ length: 20 }, () => users.verifyLocator({ ref: alice, locator, code: wrong(right) })),
  );
  expect(await reasonOf(users.verifyLocator({ ref: alice, locator, code: right }))).toBe("VERIFICATION_CODE_INVALID");
});

test("an address is sent a code every 30 seconds and five times an hour at most, also when it changes hands", async () => {
  const users = (await withAlice()).system(UserService);
  const request = (ref: typeof alice) => users.requestLocatorVerification({ ref, locator: address });
  await request(alice);
  expect(await refusalOf(request(alice))).toMatchObject({ reason: "RATE_LIMITED", retryAfter: 30 });
  for (let i = 0; i < 3; i++) {
    await app.clock.advance(MINUTE_MS);
    await request(alice);
  }
  const leaked = lastCode();
  await app.clock.advance(MINUTE_MS);
  await users.removeLocator({ ref: alice, locator: address });
  const bob = { ref: { case: "externalId" as const, value: "bob" } };
  await users.upsertUser({ externalId: "bob", user: { email: address.value } });
  expect(await reasonOf(users.verifyLocator({ ref: bob, locator: address, code: leaked }))).toBe(
    "VERIFICATION_CODE_INVALID",
  );
  await request(bob);
  await app.clock.advance(MINUTE_MS);
  expect(await refusalOf(request(bob))).toMatchObject({ reason: "RATE_LIMITED", retryAfter: 55 * 60 });
  await app.clock.advance(55 * MINUTE_MS);
  await request(bob);
});

test("racing requests for one address send one mail", async () => {
  const users = (await withAlice()).system(UserService);
  const before = mail.received.length;
  const requests = Array.from({ length: 20 }, () => users.requestLocatorVerification({ ref: alice, locator: address }));
  const outcomes = await Promise.allSettled(requests);
  expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(mail.received).toHaveLength(before + 1);
});

test("a user asks for twenty codes an hour at most, whatever it does with its addresses", async () => {
  const { signedInUser } = await app.project();
  const own = app.client(UserService, (await signedInUser("alice")).token);
  const ask = async (i: number) => {
    const locator = { type: LocatorType.EMAIL, value: `victim${i}@example.org` };
    await own.addLocator({ ref: me, locator });
    try {
      await own.requestLocatorVerification({ ref: me, locator });
    } finally {
      await own.removeLocator({ ref: me, locator });
    }
  };
  for (let i = 0; i < 20; i++) await ask(i);
  expect(await refusalOf(ask(20))).toMatchObject({ reason: "RATE_LIMITED", retryAfter: 3_600 });
});

test("neither a code nor its digest stands in the database", async () => {
  const users = (await withAlice()).system(UserService);
  await users.requestLocatorVerification({ ref: alice, locator: address });
  const { rows } = await app.db.pool.query("select c::text as row from locator_codes c");
  expect(rows.map(({ row }) => row).join()).not.toContain(lastCode());
});

test("a code for a phone is posted to the webhook", async () => {
  const users = (await withAlice()).system(UserService);
  const locator = { type: LocatorType.PHONE, value: "+4930123456" };
  await users.addLocator({ ref: alice, locator });
  await users.requestLocatorVerification({ ref: alice, locator });
  const { type, data } = JSON.parse(sms.received.at(-1)?.body ?? "{}");
  expect([type, data.to, data.code]).toEqual(["sms.requested", "+4930123456", codeIn(data.text)]);
  const { user } = await users.verifyLocator({ ref: alice, locator, code: data.code });
  expect(user).toMatchObject({ phoneVerified: true, emailVerified: false });
});
