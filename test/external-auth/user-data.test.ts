import { describe, expect, test } from "vitest";
import { invalid, MusterError } from "../../src/errors.ts";
import { ignoredMembers, toldOfUserData } from "../../src/external-auth/user-data.ts";
import { externalProfiles } from "../../src/external-profiles.ts";
import { createCheck } from "../../src/rpc/validate.ts";
import type { JsonObject } from "../../src/tokens/strict-json.ts";

const { profileOf } = externalProfiles(createCheck());

/** What user data come to: the fields that are written, and their values. */
async function change(userData: JsonObject) {
  const { fields, values } = await profileOf(userData, "user_jwt.userData");
  return { fields: [...fields].toSorted(), values };
}

/** The members that break a rule. */
async function faultsOf(userData: JsonObject): Promise<string[]> {
  const error = await profileOf(userData, "user_jwt.userData").catch((refusal: unknown) => refusal);
  if (!(error instanceof MusterError)) return [];
  expect(error.reason).toBe("REQUEST_INVALID");
  const fields = (error.extra.violations ?? []).map(({ field }) => field.replace("user_jwt.userData.", ""));
  return [...new Set(fields)];
}

test("every member writes its field of the profile", async () => {
  const userData = {
    ...{ email: "ada@example.org", email_verified: true, phone: "+4930901820", phone_verified: false },
    ...{ name: "Ada", username: "ada", avatar: "https://example.org/a.png", bio: "x", website: "https://example.org" },
    ...{ birthdate: "1815-12-10", time_zone: "Europe/London", location: { latitude: 51.5, longitude: -0.1 } },
    ...{ metadata: { a: [1, null] }, secureMetadata: { b: { c: "d" } } },
  };
  expect((await change(userData)).values).toEqual({
    ...{ email: "ada@example.org", emailVerified: true, phone: "+4930901820" },
    ...{ name: "Ada", login: "ada", avatarUrl: "https://example.org/a.png", bio: "x", website: "https://example.org" },
    ...{ birthdate: "1815-12-10", timeZone: "Europe/London", location: { latitude: 51.5, longitude: -0.1 } },
    ...{ metadata: { a: [1, null] }, privateMetadata: { b: { c: "d" } } },
  });
  expect((await change(userData)).fields).toHaveLength(14);
});

test("what is left out is not touched, and null or an empty string empties", async () => {
  expect(await change({})).toEqual({ fields: [], values: {} });
  const emptied = { name: null, username: "", email: null, location: null, birthdate: null, metadata: null };
  expect(await change(emptied)).toEqual({
    fields: ["birthdate", "email", "location", "login", "metadata", "name"],
    values: {},
  });
});

test("a Point of GeoJSON has its longitude first; a height is let pass", async () => {
  const location = { type: "Point", coordinates: [-0.1, 51.5, 11] };
  expect((await change({ location })).values).toEqual({ location: { latitude: 51.5, longitude: -0.1 } });
});

test("whether an address is verified is said beside the address, and by itself says nothing", async () => {
  const alone = { email_verified: true, phone_verified: true, phone: null };
  expect(await change(alone)).toEqual({ fields: ["phone"], values: {} });
  expect(ignoredMembers(alone)).toEqual(["email_verified", "phone_verified"]);
});

test("what nobody knows is let pass, by whatever name", async () => {
  const userData = JSON.parse(
    '{"nickname": 1, "toString": "x", "__proto__": {"name": "x"}, "timeZone": "x"}',
  ) as JsonObject;
  expect(await change(userData)).toEqual({ fields: [], values: {} });
  expect(ignoredMembers(userData)).toEqual(["nickname", "toString", "__proto__", "timeZone"]);
});

const FAULTY: [string, JsonObject, string[]][] = [
  ["numbers for text", { name: 7, username: true, bio: {} }, ["name", "username", "bio"]],
  ["text for a flag", { email: "a@example.org", email_verified: "true" }, ["email_verified"]],
  ["an email that is none", { email: "ada" }, ["email"]],
  ["an email that no mail reaches", { email: "ada@[127.0.0.1]" }, ["email"]],
  ["a phone number that is none", { phone: "030 901820" }, ["phone"]],
  ["a phone number that no plan has", { phone: "+49301" }, ["phone"]],
  ["a login that is too short", { username: "a" }, ["username"]],
  ["an avatar that is no URL", { avatar: "javascript:alert(1)" }, ["avatar"]],
  ["a website that is no URL", { website: "example.org" }, ["website"]],
  ["a day that does not exist", { birthdate: "2023-02-29" }, ["birthdate"]],
  ["a month that does not exist", { birthdate: "2023-13-01" }, ["birthdate"]],
  ["a date in another form", { birthdate: "10.12.1815" }, ["birthdate"]],
  ["a time zone that does not exist", { time_zone: "Europe/Atlantis" }, ["time_zone"]],
  ["a latitude beyond the pole", { location: { latitude: 91, longitude: 0 } }, ["location"]],
  ["a Point without a latitude", { location: { type: "Point", coordinates: [1] } }, ["location"]],
  ["another geometry", { location: { type: "LineString", coordinates: [[1, 2]] } }, ["location"]],
  ["text for a location", { location: "51.5,-0.1" }, ["location"]],
  ["a list for metadata", { metadata: [1] }, ["metadata"]],
  ["text for metadata", { secureMetadata: "x" }, ["secureMetadata"]],
  ["NUL", { name: "a\0b" }, ["name"]],
  ["half of a surrogate pair, deep in metadata", { metadata: { a: { b: "\ud800" } } }, ["metadata.a.b"]],
  ["a key that changes objects", JSON.parse('{"metadata": {"__proto__": 1}}') as JsonObject, ["metadata"]],
  [
    "101 keys",
    { secureMetadata: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, 1])) },
    ["secureMetadata"],
  ],
  ["more than 64 KiB", { metadata: { a: "x".repeat(65_537) } }, ["metadata"]],
  ["a name of 256 characters", { name: "x".repeat(256) }, ["name"]],
];

describe("user data with", () => {
  test.each(FAULTY)("%s: refused by the name of the member", async (_, userData, members) => {
    expect(await faultsOf(userData)).toEqual(members);
  });
});

test("what only a write finds wrong with a profile is told of the member it came from", async () => {
  const told = toldOfUserData("user_jwt.userData", Promise.reject(invalid("user.login", "is reserved")));
  await expect(told).rejects.toMatchObject({
    extra: { violations: [{ field: "user_jwt.userData.username", description: "is reserved" }] },
  });
});
