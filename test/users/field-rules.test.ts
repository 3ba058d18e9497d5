import { create, type DescField, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { describe, expect, test } from "vitest";
import { Access } from "../../src/gen/muster/v1/access_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { LocatorType, type User, UserSchema } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { text } from "./attributes-fixture.ts";

/** Who sees a field and who sets it. `server`: nobody else does, and what callers send is ignored. */
interface Rule {
  readonly seen: "by everyone" | "by itself";
  readonly set: "by itself" | "by .system" | "by the server";
  readonly value: MessageInitShape<typeof UserSchema>;
}

const seen = (by: Rule["seen"], set: Rule["set"], value: Rule["value"]): Rule => ({ seen: by, set, value });
const time = { seconds: 1_000_000_000n };

/** The rules of the contract, with a value that a user does not have yet. */
const RULES: Record<string, Rule> = {
  id: seen("by everyone", "by the server", { id: "01900000-0000-7000-8000-000000000001" }),
  external_id: seen("by everyone", "by the server", { externalId: "another" }),
  login: seen("by everyone", "by itself", { login: "alice.b" }),
  name: seen("by everyone", "by itself", { name: "Alice" }),
  email: seen("by itself", "by .system", { email: "alice@example.org" }),
  email_verified: seen("by itself", "by .system", { emailVerified: true }),
  phone: seen("by itself", "by .system", { phone: "+4930123456" }),
  phone_verified: seen("by itself", "by .system", { phoneVerified: true }),
  locators: seen("by itself", "by the server", {
    locators: [{ type: LocatorType.EMAIL, value: "other@example.org", verified: true, primary: true }],
  }),
  avatar_url: seen("by everyone", "by itself", { avatarUrl: "https://example.org/a.png" }),
  bio: seen("by everyone", "by itself", { bio: "About" }),
  website: seen("by everyone", "by itself", { website: "https://example.org/" }),
  birthdate: seen("by itself", "by itself", { birthdate: { year: 2000, month: 2, day: 29 } }),
  time_zone: seen("by itself", "by itself", { timeZone: "Europe/Berlin" }),
  location: seen("by itself", "by itself", { location: { latitude: 52.5, longitude: 13.4 } }),
  metadata: seen("by everyone", "by itself", { metadata: { a: 1 } }),
  private_metadata: seen("by itself", "by .system", { privateMetadata: { b: 2 } }),
  attributes: seen("by everyone", "by itself", { attributes: { open: text("o") } }),
  tags: seen("by everyone", "by .system", { tags: ["t"] }),
  reputation: seen("by everyone", "by .system", { reputation: 7n }),
  suspensions: seen("by itself", "by the server", { suspensions: [{ reason: "r", blocksSignIn: true }] }),
  guest: seen("by everyone", "by the server", { guest: true }),
  create_time: seen("by everyone", "by the server", { createTime: time }),
  update_time: seen("by itself", "by the server", { updateTime: time }),
  last_active_time: seen("by itself", "by the server", { lastActiveTime: time }),
  etag: seen("by itself", "by the server", { etag: "v99" }),
};
const CASES = UserSchema.fields.map((field) => [field.name, field] as const);

const { client, clock, db, project } = await startApp();
const { id: projectId, system, signedInUser } = await project();
const users = system(UserService);
await users.defineAttribute({
  definition: { key: "open", contentTypes: ["text/plain"], readers: [Access.USER], writers: [Access.SELF] },
});
const ada = await signedInUser("ada");
const other = client(UserService, (await signedInUser("bob")).token);
const own = client(UserService, ada.token);
const ref = { ref: { case: "id" as const, value: ada.id } };

/** A field as it goes on the wire, alone: what is equal is the same bytes. */
function alone(user: User | undefined, field: DescField): string {
  const one = reflect(UserSchema, create(UserSchema));
  const whole = reflect(UserSchema, user ?? create(UserSchema));
  if (whole.isSet(field)) one.set(field as never, whole.get(field as never) as never);
  return Buffer.from(toBinary(UserSchema, one.message as User)).toString("hex");
}
/** What a read gives of a field, to whom it may concern. */
const read = async (of: typeof users, field: DescField) => alone((await of.getUser({ ref })).user, field);

test("the rules are about every field there is, and about no other", () => {
  expect(Object.keys(RULES).toSorted()).toEqual(UserSchema.fields.map(({ name }) => name).toSorted());
});

describe.each(CASES)("%s", (name, field) => {
  const rule = RULES[name] as Rule;
  const sent = fromBinary(UserSchema, toBinary(UserSchema, create(UserSchema, rule.value)));
  const wanted = alone(sent, field);
  const isServers = rule.set === "by the server";
  const clear = () => users.updateUser({ ref, user: {}, updateMask: { paths: [name] } });
  const outcome = async (of: typeof users, updateMask?: { paths: string[] }) => {
    const change = of.updateUser({ ref, user: sent, ...(updateMask && { updateMask }) });
    const { reason, fields, metadata } = await change.then(
      () => ({ reason: "taken", fields: [], metadata: {} }),
      () => refusalOf(change),
    );
    return [reason, ...fields, ...Object.values(metadata)];
  };

  test(`is set ${rule.set}`, async () => {
    const mask = { paths: [name] };
    for (const [of, may] of [
      [users, !isServers],
      [own, rule.set === "by itself"],
    ] as const) {
      if (!isServers) await clear();
      const before = await read(users, field);
      const refused = isServers ? ["taken"] : ["PRINCIPAL_NOT_ALLOWED", `user.${name}`];
      expect(await outcome(of)).toEqual(may ? ["taken"] : refused);
      expect(await read(users, field)).toBe(may ? wanted : before);
      if (!isServers) await clear();
      const named = isServers ? ["REQUEST_INVALID", "update_mask"] : refused;
      expect(await outcome(of, mask)).toEqual(may ? ["taken"] : named);
      expect((await read(users, field)) === wanted).toBe(may);
    }
    expect((await outcome(other))[0]).toBe("PRINCIPAL_NOT_ALLOWED");
    expect((await outcome(other, mask))[0]).toBe("PRINCIPAL_NOT_ALLOWED");
  });

  test(`is seen ${rule.seen}`, async () => {
    if (name === "last_active_time") await clock.advance(60_000);
    else if (name === "locators") await users.updateUser({ ref, user: { email: "a@example.org" } });
    else if (name === "suspensions") await users.suspendUser({ ref, suspension: { reason: "r" } });
    else if (name === "guest") await db.pool.query("update users set guest = true where id = $1", [ada.id]);
    else if (!isServers) await users.updateUser({ ref, user: sent });
    // A last-active time is written beside the calls, and not by one.
    await expect.poll(() => read(users, field)).not.toBe("");
    const whole = await read(users, field);
    expect(await read(own, field)).toBe(whole);
    expect(await read(other, field)).toBe(rule.seen === "by everyone" ? whole : "");
  });
});

test("who signs in sees of itself what it sees afterwards, without a credential and with another's", async () => {
  const request = { projectId, credential: { case: "guest", value: {} } } as const;
  for (const credential of [undefined, ada.token]) {
    const { user, grant } = await client(SessionService, credential).createSession(request);
    const signedIn = client(UserService, grant?.sessionToken);
    expect(user?.etag).toBe("v1");
    const afterwards = (await signedIn.getUser({ ref: { ref: { case: "me", value: true } } })).user;
    expect({ ...user, lastActiveTime: undefined }).toEqual({ ...afterwards, lastActiveTime: undefined });
  }
});
