import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const { project } = await startApp();

type By = "externalId" | "login" | "email" | "phone";
/** `another`: it is a user's of its own. `the same`: it is taken, and finds who has it. `alike`: it is taken, and finds nobody. */
type Outcome = "another" | "the same" | "alike" | "refused";

const PAIRS: readonly [by: By, one: string, other: string, outcome: Outcome][] = [
  ["externalId", "user_alice", "User_Alice", "another"],
  ["externalId", "zo\u00eb", "zoe\u0308", "another"],
  ["externalId", "alice", "\uff41lice", "another"],
  ["externalId", "alice", "alice ", "another"],
  ["externalId", "alice", " alice", "another"],
  ["externalId", "alice", "alice.", "another"],
  ["externalId", "alice", "alice\u00a0", "another"],
  ["externalId", "alice", "alice\u200b", "another"],
  ["externalId", "alice", "\ufeffalice", "another"],
  ["externalId", "alice", "\u0430lice", "another"],
  ["externalId", "stra\u00dfe", "strasse", "another"],
  ["externalId", "\u212aelvin", "Kelvin", "another"],
  ["externalId", "istanbul", "\u0131stanbul", "another"],
  ["externalId", "1", "01", "another"],
  ["externalId", "1e3", "1000", "another"],
  ["externalId", "auth0|1", "auth0|1\t", "another"],
  ["login", "zo\u00eb", "Zo\u00cb", "the same"],
  ["login", "zo\u00eb", "zoe\u0308", "refused"],
  ["login", "zo\u00eb", "zoe", "another"],
  ["login", "alice", "\uff41lice", "refused"],
  ["login", "alice", "alice ", "refused"],
  ["login", "alice", "alice.", "refused"],
  ["login", "alice", "alice_", "another"],
  ["login", "alice", "al.ice", "another"],
  ["login", "alice", "alice\u200b", "refused"],
  ["login", "alice", "\u0430lice", "refused"],
  ["login", "\u0441\u043e\u0441\u043e", "coco", "alike"],
  ["login", "modern", "modem", "alike"],
  ["login", "bob", "b0b", "alike"],
  ["login", "stra\u00dfe", "strasse", "another"],
  ["login", "kelvin", "\u212aelvin", "refused"],
  ["login", "istanbul", "\u0131stanbul", "alike"],
  ["login", "\u03bf\u03b4\u03cc\u03c2", "\u039f\u0394\u038c\u03a3", "the same"],
  ["email", "a.b@example.org", "A.B@Example.ORG", "the same"],
  ["email", "a.b@example.org", '"a.b"@example.org', "the same"],
  ["email", "a.b@example.org", "ab@example.org", "another"],
  ["email", "a.b@example.org", "a.b+x@example.org", "another"],
  ["email", "a.b@example.org", "a.b@example.org.", "refused"],
  ["email", "a.b@example.org", "a.b@example.org ", "refused"],
  ["email", "a.b@example.org", " a.b@example.org", "refused"],
  ["email", "a.b@example.org", "a.b.@example.org", "refused"],
  ["email", "a.b@example.org", "\uff41.b@example.org", "refused"],
  ["email", "a.b@example.org", "a.b@\uff45xample.org", "the same"],
  ["email", "a.b@example.org", "a.b@\u0435xample.org", "another"],
  ["email", "a.b@b\u00fccher.example", "a.b@xn--bcher-kva.example", "the same"],
  ["email", "a.b@b\u00fccher.example", "a.b@bu\u0308cher.example", "the same"],
  ["email", "a.b@b\u00fccher.example", "a.b@bucher.example", "another"],
  ["email", "a.b@stra\u00dfe.example", "a.b@strasse.example", "another"],
  ["email", "zoe@example.org", "zo\u00eb@example.org", "refused"],
  ["phone", "+4930123456", "+49 30 123456", "refused"],
  ["phone", "+4930123456", "004930123456", "refused"],
  ["phone", "+4930123456", "+49030123456", "refused"],
  ["phone", "+4930123456", "\uff0b4930123456", "refused"],
  ["phone", "+4930123456", "+493012345\uff16", "refused"],
  ["phone", "+4930123456", "+493012345\u0666", "refused"],
  ["phone", "+4930123456", "+4930123456 ", "refused"],
  ["phone", "+4930123456", "+49301234567", "another"],
  ["phone", "+5491123456789", "+541123456789", "another"],
];

test.each(PAIRS)("by %s, beside %j there is %j: %s", async (by, one, other, outcome) => {
  const users = (await project()).system(UserService);
  const withIdentifier = (value: string, bio: string) =>
    users.upsertUser(by === "externalId" ? { externalId: value, user: { bio } } : { user: { [by]: value, bio } });
  const find = (value: string) =>
    users.getUser({ ref: { ref: { case: by, value } } }).then(
      ({ user }) => user?.bio,
      () => undefined,
    );
  await withIdentifier(one, "one");
  const second = await withIdentifier(other, "other").then(
    ({ created }) => `created: ${created}`,
    (error: unknown) => reasonOf(Promise.reject(error)),
  );
  const comes = { another: /^created: true$/, "the same": /_TAKEN$/, alike: /_TAKEN$/, refused: /^REQUEST_INVALID$/ };
  expect(second).toMatch(comes[outcome]);
  const finds = { another: "other", "the same": "one", alike: undefined, refused: undefined }[outcome];
  // What is no identifier to take may still be another way to write one.
  expect([finds, ...(outcome === "refused" && by !== "phone" ? ["one"] : [])]).toContain(await find(other));
  expect(await find(one)).toBe("one");
  expect((await users.getUser({ ref: { ref: { case: by, value: one } } })).user?.[by]).toBe(one);
});
