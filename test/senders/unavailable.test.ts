import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { PLAIN, startMailServer } from "../support/mail-server.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp, type TestAppOptions } from "../support/start-app.ts";
import { startWebhookReceiver } from "../support/webhook-receiver.ts";

const folder = await mkdtemp(join(tmpdir(), "muster-mail-"));
afterAll(() => rm(folder, { recursive: true }));

const ref = { ref: { case: "externalId" as const, value: "alice" } };
const email = { type: LocatorType.EMAIL, value: "alice@example.org" };
const phone = { type: LocatorType.PHONE, value: "+4930123456" };

async function usersOf(config: NonNullable<TestAppOptions["config"]>) {
  const users = (await (await startApp({ config })).project()).system(UserService);
  await users.upsertUser({ externalId: "alice", user: { email: email.value, phone: phone.value } });
  return users;
}

test("without an SMTP server mail is written to the data folder, for this user alone, and phones cannot be verified", async () => {
  const users = await usersOf({ dataDir: folder });
  await users.requestLocatorVerification({ ref, locator: email });
  const [name = ""] = await readdir(join(folder, "mail"));
  expect(name).toMatch(/^2026-01-01T00-00-00\.000Z-.*\.eml$/);
  const file = join(folder, "mail", name);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const message = await readFile(file, "utf8");
  expect(message).toMatch(/^To: alice@example\.org\r?$/m);
  const code = /is (\d{8})\./.exec(message)?.[1] ?? "";
  expect((await users.verifyLocator({ ref, locator: email, code })).user?.emailVerified).toBe(true);
  expect(await reasonOf(users.requestLocatorVerification({ ref, locator: phone }))).toBe("SMS_NOT_CONFIGURED");
});

test("a folder that cannot be written to and a server that is not there are MAIL_UNAVAILABLE", async () => {
  const nowhere = await usersOf({ dataDir: "/proc/muster" });
  expect(await reasonOf(nowhere.requestLocatorVerification({ ref, locator: email }))).toBe("MAIL_UNAVAILABLE");
  const gone = await startMailServer();
  await gone.close();
  const users = await usersOf({ smtp: { host: "127.0.0.1", port: gone.port, tls: false } });
  const refusal = await refusalOf(users.requestLocatorVerification({ ref, locator: email }));
  expect(refusal).toMatchObject({ reason: "MAIL_UNAVAILABLE", retryAfter: 30 });
});

test("an SMTP server that refuses the recipient is MAIL_UNAVAILABLE", async () => {
  const server = await startMailServer({
    ...PLAIN,
    onRcptTo: (_, __, done) => done(Object.assign(new Error("no such mailbox"), { responseCode: 550 })),
  });
  const users = await usersOf({ smtp: { host: "127.0.0.1", port: server.port, tls: false } });
  expect(await reasonOf(users.requestLocatorVerification({ ref, locator: email }))).toBe("MAIL_UNAVAILABLE");
});

test("a password is not sent to an SMTP server that offers no TLS", async () => {
  const logins: unknown[] = [];
  const server = await startMailServer({
    ...{ disabledCommands: ["STARTTLS"], allowInsecureAuth: true },
    onAuth(auth, _, done) {
      logins.push(auth);
      done(null, { user: auth.username });
    },
  });
  const smtp = { host: "127.0.0.1", port: server.port, tls: false, user: "muster", password: "secret" };
  const users = await usersOf({ smtp });
  expect(await reasonOf(users.requestLocatorVerification({ ref, locator: email }))).toBe("MAIL_UNAVAILABLE");
  expect([logins, server.received]).toEqual([[], []]);
});

test("a webhook that does not take a text message, answers too much or redirects is SMS_UNAVAILABLE", async () => {
  const receiver = await startWebhookReceiver();
  const users = await usersOf({
    smsWebhook: { url: receiver.url, secret: randomBytes(32) },
    egressAllow: [new URL(receiver.url).host],
  });
  const answers = [
    { status: 500 },
    { status: 302, headers: { location: receiver.url } },
    { status: 200, body: "x".repeat(100_000) },
  ];
  for (const [i, answer] of answers.entries()) {
    receiver.answer = answer;
    const locator = { ...phone, value: `+49301234${i}0` };
    await users.addLocator({ ref, locator });
    expect(await reasonOf(users.requestLocatorVerification({ ref, locator }))).toBe("SMS_UNAVAILABLE");
  }
  expect(receiver.received).toHaveLength(3);
});
