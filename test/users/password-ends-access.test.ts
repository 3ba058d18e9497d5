import { expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const app = await startApp();
const { db, clock } = app;
const alice = { ref: { case: "externalId" as const, value: "alice" } };
const me = { ref: { case: "me" as const, value: true } };
const FIRST = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";
const SECOND = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/** A project with alice and bob signed in, and what becomes of it. */
async function signedIn(passwordHash = "") {
  const { id, system, signedInUser } = await app.project();
  const users = system(UserService);
  await users.batchUpsertUsers({
    users: [
      { externalId: "alice", passwordHash },
      { externalId: "bob", passwordHash },
    ],
  });
  const tokens = { alice: (await signedInUser("alice")).token, bob: (await signedInUser("bob")).token };
  const isIn = (token: string) =>
    app
      .client(UserService, token)
      .getUser({ ref: me })
      .then(
        () => true,
        () => false,
      );
  const causes = async () =>
    (await db.pool.query("select cause from revocations where project_id = $1", [id])).rows.map(({ cause }) => cause);
  return { users, system, tokens, isIn, causes };
}

test("a first password ends nothing; one that takes the place of another ends what its user was signed in by, and nobody else's", async () => {
  const { users, system, tokens, isIn, causes } = await signedIn();
  await users.setPassword({ ref: alice, password: "correct horse" });
  expect(await isIn(tokens.alice)).toBe(true);
  expect(await causes()).toEqual([]);
  await users.setPassword({ ref: alice, password: "battery staple" });
  expect([await isIn(tokens.alice), await isIn(tokens.bob)]).toEqual([false, true]);
  expect(await causes()).toEqual(["PASSWORD_CHANGED"]);
  const { signedToken } = await system(TokenService).issueToken({ ref: alice, stateless: true });
  expect(await isIn(signedToken)).toBe(true);
  await users.setPassword({ ref: alice, password: "third time lucky" });
  expect(await isIn(signedToken)).toBe(false);
});

test("a hash from elsewhere does the same, in a call of its own and in a batch", async () => {
  const { users, system, tokens, isIn, causes } = await signedIn();
  await users.batchUpsertUsers({ users: [{ externalId: "alice", passwordHash: FIRST }, { externalId: "bob" }] });
  await users.batchUpsertUsers({ users: [{ externalId: "alice", user: { name: "Alice" }, passwordHash: FIRST }] });
  expect([await isIn(tokens.alice), await isIn(tokens.bob), await causes()]).toEqual([true, true, []]);
  const rehearsal = { users: [{ externalId: "alice", passwordHash: SECOND }], validateOnly: true };
  await users.batchUpsertUsers(rehearsal);
  expect([await isIn(tokens.alice), await causes()]).toEqual([true, []]);
  await users.batchUpsertUsers({ users: [{ externalId: "bob" }, { externalId: "alice", passwordHash: SECOND }] });
  expect([await isIn(tokens.alice), await isIn(tokens.bob)]).toEqual([false, true]);
  const { signedToken } = await system(TokenService).issueToken({ ref: alice });
  await users.upsertUser({ externalId: "alice", passwordHash: SECOND });
  expect(await isIn(signedToken)).toBe(true);
  await users.upsertUser({ externalId: "alice", passwordHash: FIRST });
  expect(await isIn(signedToken)).toBe(false);
  expect(await causes()).toEqual(["PASSWORD_CHANGED", "PASSWORD_CHANGED"]);
});

test.each([
  [
    "SetPassword",
    (users: Awaited<ReturnType<typeof signedIn>>["users"]) =>
      users.setPassword({ ref: alice, password: "battery staple" }),
  ],
  ["UpsertUser", (users) => users.upsertUser({ externalId: "alice", passwordHash: SECOND })],
  [
    "BatchUpsertUsers",
    (users) =>
      users.batchUpsertUsers({ users: [{ externalId: "alice", passwordHash: SECOND }, { externalId: "bob" }] }),
  ],
])("a stream of the user ends after %s", async (_, change) => {
  const { users, tokens } = await signedIn(FIRST);
  const stream = app
    .client(PresenceService, tokens.alice)
    .watchPresence({ refs: [alice] })
    [Symbol.asyncIterator]();
  await stream.next();
  const ended = (async () => {
    while (!(await stream.next()).done);
  })();
  await change(users);
  expect(await reasonOf(ended)).toBe("TOKEN_REVOKED");
});

test("what is signed in by the password of before while another one is set does not outlive it", async () => {
  const { users, system, isIn, tokens } = await signedIn(FIRST);
  for (let i = 0; i < 10; i++) {
    await clock.advance(700);
    const [{ signedToken }] = await Promise.all([
      system(TokenService).issueToken({ ref: alice }),
      users.upsertUser({ externalId: "alice", passwordHash: i % 2 ? FIRST : SECOND }),
      users.setPassword({ ref: alice, password: `battery staple ${i}` }),
    ]);
    await users.setPassword({ ref: alice, password: "correct horse" });
    expect(await isIn(signedToken)).toBe(false);
  }
  expect(await isIn(tokens.bob)).toBe(true);
});
