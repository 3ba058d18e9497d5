import { expect, test } from "vitest";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { emailKey } from "../../src/users/email-address.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const { project } = await startApp();
const users = (await project()).system(UserService);
await users.upsertUser({ externalId: "alice" });
const ref = { ref: { case: "externalId" as const, value: "alice" } };

async function addAndRemove(type: LocatorType, value: string) {
  const { user } = await users.addLocator({ ref, locator: { type, value } });
  await users.removeLocator({ ref, locator: { type, value } });
  return user?.locators.map((locator) => locator.value);
}

test.each([
  "a@b.c",
  "simple@localhost",
  "UPPER@EXAMPLE.ORG",
  "o'brien+tag=1&2@example.org",
  "a.b-c_d~e!#$%*/?^`{|}@example.org",
  '"quoted local"@example.org',
  '"a@b \\" \\\\"@example.org',
  "joerg@münchen.de",
  "x@xn--mnchen-3ya.de",
  "x@例え.テスト",
  "x@пример.испытание",
  "x@1-2.3com",
  `${"l".repeat(64)}@example.org`,
  `x@${"d".repeat(63)}.${"d".repeat(63)}.${"d".repeat(63)}.org`,
])("the email %s is taken and comes back as it was written", async (value) => {
  expect(await addAndRemove(LocatorType.EMAIL, value)).toEqual([value]);
});

test.each([
  ["without @", "example.org"],
  ["without local part", "@example.org"],
  ["without domain", "a@"],
  ["with a dot in front", ".a@example.org"],
  ["with two dots", "a..b@example.org"],
  ["with a dot before the @", "a.@example.org"],
  ["with a space", "a b@example.org"],
  ["with a name", "Alice <alice@example.org>"],
  ["with two addresses", "a@example.org,b@example.org"],
  ["with two @", "a@b@example.org"],
  ["with a line end", "a@example.org\r\nBcc: b@example.org"],
  ["with a line end in quotes", '"a\r\n"@example.org'],
  ["with a tab in the domain", "a@exam\tple.org"],
  ["with a quote that does not end", '"a@example.org'],
  ["with a quote inside", 'a"b"@example.org'],
  ["with a comment", "a(comment)@example.org"],
  ["with an escaped domain", "a@%65xample.org"],
  ["with a path", "a@example.org/path"],
  ["with a port", "a@example.org:25"],
  ["with an address literal", "a@[127.0.0.1]"],
  ["with an IPv4 address", "a@127.0.0.1"],
  ["with a hexadecimal IPv4 address", "a@0x7f.1"],
  ["with a dot at the end", "a@example.org."],
  ["with an underscore in the domain", "a@exa_mple.org"],
  ["with a hyphen in front of a label", "a@-example.org"],
  ["with an empty label", "a@example..org"],
  ["with a label over 63", `a@${"d".repeat(64)}.org`],
  ["with a local part over 64", `${"l".repeat(65)}@example.org`],
  ["over 254 bytes", `a@${"d".repeat(63)}.${"d".repeat(63)}.${"d".repeat(63)}.${"d".repeat(60)}.org`],
  ["over 254 bytes in A-labels", `a@${"ü.".repeat(60)}org`],
  ["with a local part that is not ASCII", "jörg@example.org"],
  ["with the Kelvin sign", "\u212Aelvin@example.org"],
  ["with a long s", "\u017Fam@example.org"],
  ["with a fullwidth letter", "\uFF41@example.org"],
  ["with an invisible character", "a\u200b@example.org"],
  ["with a bidirectional override", "a\u202e@example.org"],
  ["with right-to-left and left-to-right in one label", "a@aא.example"],
  ["with an emoji", "😀@example.org"],
])("an email %s is refused", async (_, value) => {
  const add = users.addLocator({ ref, locator: { type: LocatorType.EMAIL, value } });
  expect(await refusalOf(add)).toMatchObject({ reason: "REQUEST_INVALID", fields: ["locator.value"] });
  const set = users.updateUser({ ref, user: { email: value } });
  expect(await refusalOf(set)).toMatchObject({ reason: "REQUEST_INVALID", fields: ["user.email"] });
});

test.each(["+4930123456", "+14155552671", "+447911123456", "+80012345678", "+390612345678"])(
  "the phone %s is taken",
  async (value) => {
    expect(await addAndRemove(LocatorType.PHONE, value)).toEqual([value]);
  },
);

test.each([
  "4930123456",
  "+49 30 123456",
  "+49-30-123456",
  "0049301234567",
  "+0301234567",
  "+4407911123456",
  "+1415555",
  "+141555526711",
  "+9991234567",
  "+49301234567890123",
  "tel:+4930123456",
  "+４９30123456",
  "+4930123456;ext=1",
  "+4930123456\n",
  "+٤٩٣٠١٢٣٤٥٦",
])("the phone %j is refused", async (value) => {
  const add = users.addLocator({ ref, locator: { type: LocatorType.PHONE, value } });
  expect(await refusalOf(add)).toMatchObject({ reason: "REQUEST_INVALID", fields: ["locator.value"] });
  const set = users.updateUser({ ref, user: { phone: value } });
  expect(await refusalOf(set)).toMatchObject({ reason: "REQUEST_INVALID", fields: ["user.phone"] });
});

test("what is no mailbox is compared with nothing but itself: it never finds the user of another address", () => {
  const taken = "kelvin@example.org";
  const strangers = ["\u212Aelvin@example.org", "kelvin@example.org.", " kelvin@example.org", "kelvin@%65xample.org"];
  expect(strangers.map(emailKey)).not.toContain(emailKey(taken));
  expect(emailKey("Kelvin@ＥＸＡＭＰＬＥ.org")).toBe(taken);
  expect(emailKey("a..B@Example.org")).toBe("a..b@example.org");
});
