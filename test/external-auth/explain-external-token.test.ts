import { describe, expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { keyPair, projectWithKey, signerFor } from "./external-fixture.ts";

const app = await startApp();
const own = await projectWithKey(app, { externalJwtSingleUse: true });
const users = own.project.system(UserService);
const refTo = (value: string) => ({ ref: { case: "externalId", value } }) as const;
const seconds = (span: number) => Math.floor(app.clock.now() / 1_000) + span;
const ALL = "form keys project key signature subject times age profile single_use user".split(" ");
let count = 0;
const jti = () => ({ jti: `jwt ${count++}` });

/** All that the database has, but for what keeps time. */
async function everything() {
  const { rows } = await app.db.pool.query<{ table: string }>(
    "select tablename as table from pg_tables where schemaname = 'public' and tablename <> 'jobs' order by 1",
  );
  const texts = rows.map(async ({ table }) => {
    const all = await app.db.pool.query(
      `select coalesce(string_agg(t::text, ';' order by t::text), '') as text from ${table} t`,
    );
    return [table, all.rows[0].text];
  });
  return Object.fromEntries(await Promise.all(texts));
}

/** The checks that did not pass, with what was found. */
async function faultsOf(jwt: string) {
  const { checks } = await own.explain(jwt);
  return checks.filter(({ passed }) => !passed).map(({ name, detail }) => `${name}: ${detail}`);
}

describe("a good JWT", () => {
  test("passes every check in their order, and would make the user that it then makes", async () => {
    const jwt = own.jwt({ sub: "new", ...jti(), userData: { name: "New", email: "new@example.org", nickname: "x" } });
    const before = await everything();
    const { checks, wouldCreate, wouldUpdate } = await own.explain(jwt);
    expect(await everything()).toEqual(before);
    expect(checks.map(({ name, passed }) => [name, passed])).toEqual(ALL.map((name) => [name, true]));
    expect([wouldCreate, wouldUpdate]).toEqual([true, ["external_id", "name", "email"]]);
    expect(checks.find(({ name }) => name === "profile")?.detail).toContain('passed over: "nickname"');
    expect((await own.verify(jwt)).userCreated).toBe(true);
  });

  test("of a known user says which fields it would write, and of one that is as it should be none", async () => {
    await own.verify(own.jwt({ sub: "known", ...jti(), userData: { name: "Known", bio: "x", metadata: { a: 1 } } }));
    const explained = async (userData: object) => {
      const { wouldCreate, wouldUpdate } = await own.explain(own.jwt({ sub: "known", ...jti(), userData }));
      return [wouldCreate, wouldUpdate];
    };
    expect(await explained({ name: "Known", bio: null, metadata: { a: 2 } })).toEqual([false, ["bio", "metadata"]]);
    expect(await explained({ name: "Known", bio: "x", metadata: { a: 1 } })).toEqual([false, []]);
    expect((await users.getUser({ ref: refTo("known") })).user).toMatchObject({ bio: "x", etag: "v1" });
  });

  test("that would be linked by its email says so", async () => {
    const linking = await projectWithKey(app, { linkByVerifiedEmail: true });
    const email = "ada@example.org";
    await linking.project.system(UserService).upsertUser({ user: { email, emailVerified: true } });
    const jwt = linking.jwt({ sub: "ada", userData: { email, email_verified: true, name: "Ada" } });
    const { wouldCreate, wouldUpdate } = await linking.explain(jwt);
    expect([wouldCreate, wouldUpdate]).toEqual([false, ["external_id", "name"]]);
    expect(await linking.explain(jwt)).toMatchObject({ wouldCreate, wouldUpdate });
  });
});

describe("what is wrong with a JWT is said in words:", () => {
  test("that none was sent is no verdict", async () => {
    expect(await reasonOf(own.explain(""))).toBe("EXTERNAL_JWT_MISSING");
  });

  test("its form, after which nothing but the keys can be told", async () => {
    const { checks } = await own.explain("hello");
    expect(checks.map(({ name, passed, detail }) => `${name} ${passed} ${detail}`)).toEqual([
      "form false not three parts in base64url",
      expect.stringContaining("keys true the current key (ES256, kid"),
    ]);
    expect(await faultsOf(own.jwt({}, { jku: "https://evil.example" }))).toEqual([
      'form: header: "jku" is not allowed',
    ]);
  });

  test("no key, the wrong project, the wrong key, the wrong algorithm", async () => {
    const bare = await app.project();
    const { checks } = await own.explain(own.jwt({ iss: bare.id, ...jti() }));
    expect(checks.find(({ passed }) => !passed)?.detail).toBe(
      `iss is "${bare.id}" and aud left out: one must be the project, ${own.project.id}`,
    );
    expect(checks.map(({ name }) => name)).toEqual(ALL.filter((name) => name !== "user"));
    const forged = signerFor(app, own.project, keyPair("ES256"));
    expect(await faultsOf(forged(jti()))).toEqual([
      expect.stringMatching(/^signature: the signature is not by the current key/),
    ]);
    const rsa = signerFor(app, own.project, keyPair("RS256"));
    expect(await faultsOf(rsa(jti(), { kid: "theirs" }))).toEqual([
      expect.stringMatching(
        /^key: no key fits: the JWT is of "RS256" by kid "theirs"; the project has the current key \(ES256/,
      ),
    ]);
  });

  test("its times, how long ago, and whose clock it may be", async () => {
    const over = own.jwt({ ...jti(), iat: seconds(-480), exp: seconds(-180) });
    expect(await faultsOf(over)).toEqual([
      "times: exp is over: iat 8 min ago, no nbf, exp 3 min ago; 60 s are allowed: is the clock of whoever signs right?",
    ]);
    const old = own.jwt({ ...jti(), iat: seconds(-86_400), exp: seconds(86_400) });
    expect(await faultsOf(old)).toEqual([
      "age: iat is too long ago: iat 24 h ago, no nbf, exp in 24 h; external_jwt_max_age is 60 min",
    ]);
    const inMs = own.jwt({ ...jti(), iat: app.clock.now(), exp: app.clock.now() + 300_000 });
    expect(await faultsOf(inMs)).toEqual([expect.stringContaining("these look like milliseconds")]);
  });

  test("its subject and its data, all of it at once", async () => {
    const faults = await faultsOf(
      own.jwt({ ...jti(), exp: seconds(-3_600), iat: seconds(-7_200), userData: { name: 7, email: "x" } }),
    );
    expect(faults).toEqual([
      expect.stringContaining("times: exp is over"),
      expect.stringMatching(/^profile: user_jwt\.userData\.name must be a string, or null; user_jwt\.userData\.email /),
    ]);
    expect(await faultsOf(own.jwt({ ...jti(), sub: ".system" }))).toEqual(["subject: sub is reserved"]);
  });

  test("that it has no name, or was used before, and it is not used up by asking", async () => {
    expect(await faultsOf(own.jwt())).toEqual(["single_use: jti is missing, which single use needs"]);
    const jwt = own.jwt(jti());
    expect(await faultsOf(jwt)).toEqual([]);
    expect(await faultsOf(jwt)).toEqual([]);
    await own.verify(jwt);
    expect(await faultsOf(jwt)).toEqual(["single_use: jti was used before"]);
  });

  test("that its user is suspended, has a login that is taken, or is contested", async () => {
    await own.verify(own.jwt({ sub: "suspended", ...jti() }));
    const { user } = await users.suspendUser({
      ref: refTo("suspended"),
      suspension: { reason: "x", blocksSignIn: true },
    });
    expect(await faultsOf(own.jwt({ sub: "suspended", ...jti() }))).toEqual([
      `user: is ${user?.id}, whom a suspension keeps out`,
    ]);
    await users.upsertUser({ externalId: "corn", user: { login: "corn" } });
    expect(await faultsOf(own.jwt({ sub: "other", ...jti(), userData: { username: "corn" } }))).toEqual([
      expect.stringMatching(/^user: .*login/),
    ]);
  });
});
