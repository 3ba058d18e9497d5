import { describe, expect, test } from "vitest";
import { issueToken } from "../../src/tokens/issue-token.ts";
import type { UserKey } from "../../src/users/users.ts";
import { TEST_ACT } from "../support/test-act.ts";
import { refusal, tokensFixture } from "./tokens-fixture.ts";

const { db, tokens, project, user, deleteUser, issue } = await tokensFixture();
const projectId = await project();
const alice = await user(projectId, "alice");

const rows = async (id: string) =>
  (
    await db.pool.query("select project_id, user_id, issue_time, expire_time, revoke_time from tokens where id = $1", [
      id,
    ])
  ).rows;

const claimsOf = (signedToken: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(signedToken.split(".")[1] ?? "", "base64url").toString());

/** Why there is no token, or why the one there is does not pass. */
const reasonOf = (outcome: PromiseSettledResult<{ signedToken: string }>) =>
  refusal(
    outcome.status === "fulfilled" ? tokens.verifier.verify(outcome.value.signedToken) : Promise.reject(outcome.reason),
  );

describe("the user of a token", () => {
  const keys: UserKey[] = [
    { by: "id", value: alice.id },
    { by: "externalId", value: "alice" },
    { by: "login", value: "Alice.Login" },
    { by: "email", value: "Alice@Example.com" },
    { by: "phone", value: "+4915112345678" },
  ];

  test.each(keys)("can be named by $by", async (key) => {
    await db.pool.query(
      `update users set login = 'alice.login', login_key = 'alice.login', email = 'alice@example.com', email_key = 'alice@example.com',
        phone = '+4915112345678' where id = $1`,
      [alice.id],
    );
    for (const stateless of [false, true]) {
      const input = { key, audience: [], stateless };
      const { token, signedToken } = await issueToken(tokens, { projectId, act: TEST_ACT }, input);
      expect(token.userId).toBe(alice.id);
      expect(claimsOf(signedToken)).toMatchObject({ sub: alice.id, ext: "alice" });
      expect(await rows(token.tokenId)).toHaveLength(stateless ? 0 : 1);
    }
  });

  test.each([true, false])("has to exist in the project (stateless: %s)", async (stateless) => {
    const elsewhere = await user(await project());
    const gone = await user(projectId);
    await deleteUser(projectId, gone.id);
    const unknown = "0198c0de-0000-7000-8000-000000000000";
    expect(await refusal(issue(projectId, elsewhere.id, { stateless }))).toBe("USER_NOT_FOUND");
    expect(await refusal(issue(projectId, unknown, { stateless }))).toBe("USER_NOT_FOUND");
    expect(await refusal(issue(projectId, gone.id, { stateless }))).toBe("USER_DELETED");
    const key = { by: "externalId", value: gone.externalId } as const;
    expect(await refusal(issueToken(tokens, { projectId, act: TEST_ACT }, { key, audience: [], stateless }))).toBe(
      "USER_NOT_FOUND",
    );
  });

  test("may be deleted in the same moment: there is then no row, and no token that passes", async () => {
    for (let round = 0; round < 20; round++) {
      const { id } = await user(projectId);
      const issued = Promise.allSettled(Array.from({ length: 4 }, () => issue(projectId, id)));
      const [outcomes] = await Promise.all([issued, deleteUser(projectId, id)]);
      const left = await db.pool.query("select 1 from tokens where user_id = $1", [id]);
      expect(left.rowCount).toBe(0);
      for (const reason of await Promise.all(outcomes.map(reasonOf)))
        expect(["TOKEN_REVOKED", "USER_NOT_FOUND", "USER_DELETED"]).toContain(reason);
    }
  });
});

describe("what is kept of a token", () => {
  test("is when it was issued and when it ends", async () => {
    const { token } = await issue(projectId, alice.id, { ttlMs: 5_000 });
    expect(await rows(token.tokenId)).toEqual([
      {
        project_id: projectId,
        user_id: alice.id,
        issue_time: "2026-06-01 12:00:00+00",
        expire_time: "2026-06-01 12:00:05+00",
        revoke_time: null,
      },
    ]);
  });

  test("is never the signed token, nor its signature, nor the private key, nor in clear what the token says of its own", async () => {
    const { signedToken } = await issue(projectId, alice.id, {
      claims: { secret: "of the caller" },
      audience: ["heard"],
    });
    const [header, claims, signature = ""] = signedToken.split(".");
    const tables = await db.pool.query<{ name: string }>(
      "select quote_ident(tablename) as name from pg_tables where schemaname = 'public'",
    );
    let dump = "";
    for (const { name } of tables.rows)
      dump += JSON.stringify((await db.pool.query(`select t::text as row from ${name} t`)).rows);
    expect(dump).toContain(alice.id);
    const signatureBytes = Buffer.from(signature, "base64url");
    for (const secret of [
      header,
      claims,
      signature,
      signatureBytes.toString("hex"),
      signatureBytes.toString("base64"),
      '"d"',
      "of the caller",
      "heard",
    ])
      expect(dump).not.toContain(secret);
    expect(dump).not.toContain(Buffer.from('"d":').toString("hex"));
  });
});
