import { expect, test } from "vitest";
import { Access } from "../../src/gen/muster/v1/access_pb.ts";
import { Operator, UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const { client, project, clock } = app;

type Client = Awaited<ReturnType<typeof withUsers>>["users"];

async function withUsers(...names: string[]) {
  const made = await project();
  const users = made.system(UserService);
  for (const name of names) {
    await users.upsertUser({ externalId: name, user: { name } });
    await clock.advance(1_000);
  }
  return { ...made, users };
}

const filter = (field: string, operator: keyof typeof Operator, ...values: string[]) => ({
  field,
  operator: Operator[operator],
  values,
});

const namesOf = async (users: Client, request: Parameters<Client["listUsers"]>[0]) =>
  (await users.listUsers(request)).users.map(({ name }) => name);

test("without anything asked for, the latest 50 users come first", async () => {
  const names = Array.from({ length: 60 }, (_, n) => `n${n}`);
  const { users } = await withUsers(...names);
  const page = await users.listUsers({});
  expect(page.users.map(({ name }) => name)).toEqual(names.toReversed().slice(0, 50));
  expect(page.totalSize).toBe(0);
  const rest = await users.listUsers({ pageToken: page.nextPageToken, withTotal: true });
  expect(rest.users.map(({ name }) => name)).toEqual(names.toReversed().slice(50));
  expect([rest.nextPageToken, rest.totalSize]).toEqual(["", 60]);
});

test("a page that ends with the last user has no next page", async () => {
  const { users } = await withUsers("a", "b");
  expect((await users.listUsers({ pageSize: 2 })).nextPageToken).toBe("");
  expect((await users.listUsers({ pageSize: 1 })).nextPageToken).not.toBe("");
});

test("names are found by their beginning in any case, form and script", async () => {
  const names = [
    "Straße",
    "STRASSE 2",
    "ΟΔΟΣ",
    "οδος Α",
    "ﬁnn",
    "FINN 2",
    "Ａｄａ",
    "ada 2",
    "Zoë",
    "zoe",
    "Œuvre",
    "Дмитрий",
  ];
  const { users } = await withUsers(...names);
  const startingWith = async (value: string) =>
    (await namesOf(users, { filters: [filter("name", "STARTS_WITH", value)], orderBy: "name" })).toSorted();
  expect(await startingWith("strass")).toEqual(["STRASSE 2", "Straße"]);
  expect(await startingWith("STRAß")).toEqual(["STRASSE 2", "Straße"]);
  expect(await startingWith("οδοσ")).toEqual(["ΟΔΟΣ", "οδος Α"]);
  expect(await startingWith("Fi")).toEqual(["FINN 2", "ﬁnn"]);
  expect(await startingWith("ADA")).toEqual(["ada 2", "Ａｄａ"]);
  expect(await startingWith("zoe\u0308")).toEqual(["Zoë"]);
  expect(await startingWith("œU")).toEqual(["Œuvre"]);
  expect(await startingWith("дм")).toEqual(["Дмитрий"]);
  expect(await startingWith("%")).toEqual([]);
});

test("a name that folding makes longer than an index takes is kept whole and found", async () => {
  const { users } = await withUsers();
  // Each of these is a word of three characters or more once it is folded.
  const name = Array.from({ length: 255 }, (_, n) => String.fromCodePoint(0x3300 + ((n * n * 31 + n * 7) % 88))).join(
    "",
  );
  const { user } = await users.upsertUser({ externalId: "long", user: { name } });
  expect(user?.name).toBe(name);
  expect(await namesOf(users, { filters: [filter("name", "EQUAL", name)] })).toEqual([name]);
  expect(await namesOf(users, { filters: [filter("name", "STARTS_WITH", name.slice(0, 20))] })).toEqual([name]);
});

test("a name that is changed or emptied is listed as what it is now", async () => {
  const { users } = await withUsers("Old");
  const ref = { ref: { case: "externalId", value: "Old" } } as const;
  await users.updateUser({ ref, user: { name: "NEW" } });
  const startingWith = (value: string) => namesOf(users, { filters: [filter("name", "STARTS_WITH", value)] });
  expect([await startingWith("old"), await startingWith("new")]).toEqual([[], ["NEW"]]);
  await users.batchUpsertUsers({
    users: [{ externalId: "Old", updateMask: { paths: ["name"] } }, { externalId: "x" }],
  });
  expect(await startingWith("new")).toEqual([]);
  expect((await users.listUsers({ filters: [filter("name", "EXISTS", "false")] })).users).toHaveLength(2);
});

test("times are compared to the instant, in any offset", async () => {
  const { users } = await withUsers("a", "b", "c");
  const b = (await users.listUsers({ orderBy: "create_time", pageSize: 2 })).users[1]?.createTime;
  const iso = new Date(Number(b?.seconds) * 1000 + 7_200_000).toISOString().replace("Z", "+02:00");
  const found = (operator: keyof typeof Operator) =>
    namesOf(users, { filters: [filter("create_time", operator, iso)], orderBy: "name" });
  expect(await found("EQUAL")).toEqual(["b"]);
  expect(await found("GREATER")).toEqual(["c"]);
  expect(await found("LESS_OR_EQUAL")).toEqual(["a", "b"]);
});

test.for([
  [{ filters: [filter("bio", "EQUAL", "x")] }, "filters[0].field", "no index serves bio"],
  [{ filters: [filter("reputation", "GREATER", "1")] }, "filters[0].field", "no index serves reputation"],
  [
    { filters: [filter("attributes.color", "EQUAL", "x")] },
    "filters[0].field",
    'no definition of a filterable attribute "color"',
  ],
  [
    { filters: [filter("guest", "EQUAL", "true"), filter("tags", "EQUAL", "x")] },
    "filters[1].operator",
    "EQUAL makes no sense for tags",
  ],
  [{ filters: [filter("name", "EQUAL")] }, "filters[0].values", "one value"],
  [{ filters: [filter("name", "EQUAL", "a", "b")] }, "filters[0].values", "one value"],
  [{ filters: [filter("name", "IN")] }, "filters[0].values", "one value or more"],
  [{ filters: [filter("name", "STARTS_WITH", "")] }, "filters[0].values[0]", "EXISTS with false"],
  [{ filters: [filter("login", "EXISTS", "maybe")] }, "filters[0].values[0]", "true or false"],
  [{ filters: [filter("id", "IN", "1b4e28ba-2fa1-7d2d-883f-0016d3cca427", "x")] }, "filters[0].values[1]", "UUID"],
  [{ filters: [filter("guest", "EQUAL", "yes")] }, "filters[0].values[0]", "true or false"],
  [{ filters: [filter("create_time", "LESS", "yesterday")] }, "filters[0].values[0]", "RFC 3339"],
  [{ filters: [filter("create_time", "LESS", "2026-02-30T00:00:00Z")] }, "filters[0].values[0]", "RFC 3339"],
  [{ filters: [filter("create_time", "LESS", "2026-01-01T00:00:00")] }, "filters[0].values[0]", "RFC 3339"],
  [{ filters: [filter("create_time", "LESS", "9999-12-31T23:59:59-01:00")] }, "filters[0].values[0]", "RFC 3339"],
  [{ filters: [filter("tags", "HAS_ANY", "x".repeat(65))] }, "filters[0].values[0]", "1–64 characters"],
  [
    { filters: [filter("tags", "HAS_ANY", ...Array.from({ length: 51 }, (_, n) => `t${n}`))] },
    "filters[0].values",
    "at most 50",
  ],
  [{ filters: [filter("name", "UNSPECIFIED", "x")] }, "filters[0].operator", ""],
  [{ filters: Array.from({ length: 21 }, () => filter("name", "EQUAL", "x")) }, "filters", ""],
  [{ orderBy: "tags" }, "order_by", "no index gives the order by tags"],
  [{ orderBy: "bio desc" }, "order_by", "no index gives the order by bio"],
  [{ orderBy: "name sideways" }, "order_by", "one field"],
  [{ orderBy: "name desc, id" }, "order_by", "one field"],
  [{ pageSize: 1_001 }, "page_size", ""],
  [{ pageSize: -1 }, "page_size", ""],
  [{ pageToken: "nonsense" }, "page_token", "not one that was given"],
] as const)("%o is refused, saying where and why", async ([request, field, why]) => {
  const { users } = await withUsers();
  const refusal = await refusalOf(users.listUsers(request as Parameters<Client["listUsers"]>[0]));
  expect([refusal.reason, refusal.fields]).toEqual(["REQUEST_INVALID", [field]]);
  expect(refusal.error.rawMessage).toContain(why);
});

test("times as early and as late as they are written are taken", async () => {
  const { users } = await withUsers("a");
  const since = (value: string) => namesOf(users, { filters: [filter("create_time", "GREATER", value)] });
  expect(await since("0001-01-01T00:00:00Z")).toEqual(["a"]);
  expect(await since("0001-01-01T00:00:00.123456789-23:59")).toEqual(["a"]);
  expect(await since("9999-12-31T23:59:59.999999999Z")).toEqual([]);
});

test("a page token is for one query in one project, and the size of pages may differ", async () => {
  const { users } = await withUsers("a", "b", "c");
  const query = { filters: [filter("name", "IN", "a", "b", "c")], orderBy: "name", pageSize: 1 };
  const pageToken = (await users.listUsers(query)).nextPageToken;
  expect(await namesOf(users, { ...query, pageToken, pageSize: 5 })).toEqual(["b", "c"]);
  expect(await namesOf(users, { ...query, pageToken, orderBy: " name  asc" })).toEqual(["b"]);
  const others = [
    { orderBy: "name desc" },
    { orderBy: "external_id" },
    { filters: [filter("name", "IN", "a", "b")] },
    { filters: [filter("name", "NOT_IN", "a", "b", "c")] },
    { filters: [filter("external_id", "IN", "a", "b", "c")] },
    { filters: [] },
  ];
  for (const other of others)
    expect((await refusalOf(users.listUsers({ ...query, ...other, pageToken }))).fields).toEqual(["page_token"]);
  const elsewhere = await withUsers("a", "b", "c");
  expect((await refusalOf(elsewhere.users.listUsers({ ...query, pageToken }))).fields).toEqual(["page_token"]);
});

test("users list only where the project lets them, and see of others what they may see", async () => {
  const closed = await project();
  const { token } = await closed.signedInUser("alice");
  expect(await reasonOf(client(UserService, token).listUsers({}))).toBe("PRINCIPAL_NOT_ALLOWED");

  const open = await project({ usersMayList: true });
  const alice = await open.signedInUser("alice");
  const user = { name: "Bob", email: "bob@example.org", phone: "+491700000", tags: ["x"], privateMetadata: { a: 1 } };
  await open.system(UserService).upsertUser({ externalId: "bob", user });
  const asAlice = client(UserService, alice.token);
  const { users } = await asAlice.listUsers({ filters: [filter("tags", "HAS_ANY", "x")], orderBy: "name desc" });
  expect(users).toMatchObject([{ externalId: "bob", name: "Bob", email: "", phone: "" }]);
  expect([users[0]?.privateMetadata, users[0]?.updateTime, users[0]?.lastActiveTime]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});

test.for(["email", "phone", "update_time", "last_active_time"])(
  "a user neither filters nor orders by %s, which it does not see of others",
  async (field) => {
    const { signedInUser } = await project({ usersMayList: true });
    const users = client(UserService, (await signedInUser()).token);
    const value = field.endsWith("time") ? "2026-01-01T00:00:00Z" : "+491700000";
    const filtered = { filters: [filter("guest", "EQUAL", "false"), filter(field, "EQUAL", value)] };
    for (const request of [filtered, { orderBy: `${field} desc` }])
      expect(await refusalOf(users.listUsers(request))).toMatchObject({
        reason: "PRINCIPAL_NOT_ALLOWED",
        metadata: { field },
      });
  },
);

test.for(["id", "external_id", "login", "name", "create_time"])("a user orders by %s", async (field) => {
  const { signedInUser } = await project({ usersMayList: true });
  const users = client(UserService, (await signedInUser()).token);
  expect((await users.listUsers({ orderBy: field })).users).toHaveLength(1);
});

test("tags of a project are found in that project alone", async () => {
  const [one, other] = [await withUsers(), await withUsers()];
  await one.users.upsertUser({ externalId: "a", user: { name: "one", tags: ["shared", other.id] } });
  await other.users.upsertUser({ externalId: "a", user: { name: "other", tags: ["shared"] } });
  const tagged = (users: Client, ...tags: string[]) =>
    namesOf(users, { filters: [filter("tags", "HAS_ANY", ...tags)] });
  expect([await tagged(one.users, "shared"), await tagged(other.users, "shared")]).toEqual([["one"], ["other"]]);
  expect([await tagged(other.users, other.id), await tagged(one.users, other.id)]).toEqual([[], ["one"]]);
});

const plain = (text: string) => ({ contentType: "text/plain", value: { case: "text", value: text } }) as const;
const definition = (more: object) => ({ key: "color", contentTypes: ["text/plain", "image/png"], ...more });

test("an attribute is listed by where its definition says that it is filterable", async () => {
  const { users } = await withUsers("a", "b", "c");
  const filters = [filter("attributes.color", "EQUAL", "red")];
  const refused = async () => {
    const { fields, error } = await refusalOf(users.listUsers({ filters }));
    expect(fields).toEqual(["filters[0].field"]);
    expect(error.rawMessage).toContain('the project has no definition of a filterable attribute "color"');
  };
  await refused();
  await users.defineAttribute({ definition: definition({}) });
  await users.upsertUser({ externalId: "a", user: { attributes: { color: plain("red") } } });
  await refused();
  await users.defineAttribute({ definition: definition({ filterable: true }) });
  expect(await namesOf(users, { filters })).toEqual(["a"]);
  await users.upsertUser({ externalId: "b", user: { attributes: { color: plain("red") } } });
  expect(await namesOf(users, { filters, orderBy: "name" })).toEqual(["a", "b"]);
  await users.upsertUser({ externalId: "a", user: { attributes: { color: plain("blue") } } });
  expect(await namesOf(users, { filters, orderBy: "name" })).toEqual(["b"]);
  await users.defineAttribute({ definition: definition({ filterable: false }) });
  await refused();
});

test("a value that is no text is found by EXISTS, and a long one by its first 255 characters", async () => {
  const { users } = await withUsers("a", "b", "c");
  await users.defineAttribute({ definition: definition({ filterable: true }) });
  const data = { contentType: "image/png", value: { case: "data", value: new Uint8Array([1]) } } as const;
  await users.upsertUser({ externalId: "a", user: { attributes: { color: data } } });
  await users.upsertUser({ externalId: "b", user: { attributes: { color: plain("x".repeat(300)) } } });
  const found = (operator: keyof typeof Operator, ...values: string[]) =>
    namesOf(users, { filters: [filter("attributes.color", operator, ...values)], orderBy: "name" });
  expect(await found("EXISTS")).toEqual(["a", "b"]);
  expect(await found("EXISTS", "false")).toEqual(["c"]);
  expect(await found("STARTS_WITH", "x".repeat(255))).toEqual(["b"]);
  expect(await found("EQUAL", "x".repeat(255))).toEqual([]);
  expect(await found("NOT_EQUAL", "x".repeat(255))).toEqual(["a", "b", "c"]);
  const { fields } = await refusalOf(found("EQUAL", "x".repeat(256)));
  expect(fields).toEqual(["filters[0].values[0]"]);
});

test("a user lists by the attributes that it sees of others", async () => {
  const { system, signedInUser } = await project({ usersMayList: true });
  const users = system(UserService);
  await users.defineAttribute({ definition: definition({ key: "open", filterable: true }) });
  await users.defineAttribute({ definition: definition({ key: "own", filterable: true, readers: [Access.SELF] }) });
  const asUser = client(UserService, (await signedInUser()).token);
  expect(await namesOf(asUser, { filters: [filter("attributes.open", "EXISTS")] })).toEqual([]);
  const own = asUser.listUsers({ filters: [filter("attributes.own", "EXISTS")] });
  expect(await refusalOf(own)).toMatchObject({
    reason: "PRINCIPAL_NOT_ALLOWED",
    metadata: { field: "attributes.own" },
  });
});
