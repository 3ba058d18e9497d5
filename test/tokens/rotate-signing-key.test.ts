import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { jwksRoutes } from "../../src/tokens/jwks-routes.ts";
import { MAX_SIGNING_KEYS } from "../../src/tokens/key-chain.ts";
import { listSigningKeys } from "../../src/tokens/list-signing-keys.ts";
import { type RotationMode, rotateSigningKey } from "../../src/tokens/rotate-signing-key.ts";
import { tokenJobs } from "../../src/tokens/token-jobs.ts";
import { plainRequest } from "../support/plain-request.ts";
import { TEST_ACT } from "../support/test-act.ts";
import { PREPARE_MS, refusal, tokensFixture, tokensOn } from "./tokens-fixture.ts";

const { db, clock, sealer, tokens, project, changeProject, user, issue } = await tokensFixture();
const elsewhere = tokensOn(db, clock, sealer);
const both = [tokens, elsewhere.tokens];

const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const SKEW_MS = 60_000;
const STEP_MS = 660_000;
const VIEW_MS = 500;

const kidOf = (token: string): string => JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()).kid;
const rotate = (projectId: string, mode: RotationMode, process = tokens) =>
  rotateSigningKey({ ...process, announceEnd() {} }, { projectId, act: TEST_ACT }, mode);
const list = (projectId: string) => listSigningKeys(tokens, { projectId });
const states = async (projectId: string) =>
  Object.fromEntries((await list(projectId)).map(({ id, state }) => [id, state]));

/** The ids of the keys that a process publishes. */
async function published(projectId: string, process = tokens): Promise<string[]> {
  const path = `/projects/${projectId}/.well-known/jwks.json`;
  const [route] = jwksRoutes(process);
  const match = route && path.match(route.path);
  if (!match) throw new Error("no route");
  const answer = await route.handle(plainRequest(path, match));
  return JSON.parse(String(answer.body)).keys.map(({ kid }: { kid: string }) => kid);
}

/** What becomes of a token on each process. */
const fates = (token: string) => Promise.all(both.map(({ verifier }) => refusal(verifier.verify(token))));

async function world() {
  const id = await project();
  const holder = await user(id);
  const [first] = await list(id);
  return {
    id,
    first: first?.id ?? "",
    issue: (ttlMs = HOUR_MS, stateless = false) => issue(id, holder.id, { ttlMs, stateless }),
    issueElsewhere: (ttlMs = HOUR_MS) => elsewhere.issue(id, holder.id, { ttlMs }),
  };
}

describe("a graceful rotation", () => {
  test("publishes the key ahead, has it sign on every process at the same moment, and lets old tokens live out their time", async () => {
    const { id, first, issue, issueElsewhere } = await world();
    const old = await issue();
    const { id: second, state } = await rotate(id, "GRACEFUL");
    expect(state).toBe("PREPARED");
    await clock.advance(VIEW_MS);
    for (const process of both) expect(await published(id, process)).toEqual([second, first]);

    await clock.advance(PREPARE_MS - VIEW_MS - 1);
    for (const { signedToken } of [await issue(), await issueElsewhere()]) expect(kidOf(signedToken)).toBe(first);
    const last = await issue();
    await clock.advance(1);
    for (const { signedToken } of [await issue(), await issueElsewhere()]) expect(kidOf(signedToken)).toBe(second);
    expect(await states(id)).toEqual({ [second]: "ACTIVE", [first]: "RETIRING" });

    await clock.advance(old.token.expiresAt - clock.now() - 1);
    expect(await fates(old.signedToken)).toEqual(["none", "none"]);
    await clock.advance(last.token.expiresAt - clock.now() - 1);
    expect(await fates(last.signedToken)).toEqual(["none", "none"]);
    for (const process of both) expect(await published(id, process)).toEqual([second, first]);
  });

  test("ends with the old key gone, whether its row is removed or not", async () => {
    const { id, first, issue } = await world();
    const old = await issue(10 * HOUR_MS);
    const { id: second } = await rotate(id, "GRACEFUL");
    await clock.advance(old.token.expiresAt - clock.now());
    expect(await fates(old.signedToken)).toEqual(["TOKEN_EXPIRED", "TOKEN_EXPIRED"]);
    expect(await states(id)).toEqual({ [second]: "ACTIVE", [first]: "RETIRING" });

    await clock.advance(STEP_MS + SKEW_MS);
    for (const process of both) expect(await published(id, process)).toEqual([second]);
    expect(await states(id)).toEqual({ [second]: "ACTIVE" });
    expect(await fates(old.signedToken)).toEqual(["TOKEN_INVALID", "TOKEN_INVALID"]);
    expect(await rowsOf(id)).toEqual([first, second]);

    for (const mode of ["GRACEFUL", "REVOKE_ALL"] as const) await rotate(id, mode);
    expect(await rowsOf(id)).toContain(first);
  });

  test("leaves the row of a gone key to a job, which takes no other", async () => {
    const [one, other] = [await world(), await world()];
    await one.issue(2 * HOUR_MS);
    await other.issue(5 * HOUR_MS, true);
    for (const { id } of [one, other]) await rotate(id, "GRACEFUL");
    const remove = async () => {
      const job = tokenJobs({ db, clock }).find(({ name }) => name === "gone-signing-keys");
      await job?.run(new AbortController().signal);
      return (await Promise.all([one, other].map(({ id }) => rowsOf(id)))).map((rows) => rows.length);
    };
    expect(await remove()).toEqual([2, 2]);
    await clock.advance(2 * HOUR_MS + STEP_MS + SKEW_MS);
    expect(await remove()).toEqual([1, 2]);
  });

  test("answers the prepared key as long as there is one, also to twenty at once on two processes", async () => {
    const { id, first } = await world();
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => rotate(id, "GRACEFUL", n % 2 ? tokens : elsewhere.tokens)),
    );
    const [prepared, ...others] = new Set(answers.map((key) => key.id));
    expect(others).toEqual([]);
    expect(await states(id)).toEqual({ [prepared as string]: "PREPARED", [first]: "ACTIVE" });
    await clock.advance(PREPARE_MS - 1);
    expect((await rotate(id, "GRACEFUL")).id).toBe(prepared);
    await clock.advance(1);
    expect((await rotate(id, "GRACEFUL")).id).not.toBe(prepared);
  });

  test("against 200 tokens that are issued meanwhile costs none of them", async () => {
    const { id, issue, issueElsewhere } = await world();
    const issued = Array.from({ length: 200 }, (_, n) => (n % 2 ? issue() : issueElsewhere()));
    const [, ...signed] = await Promise.all([rotate(id, "GRACEFUL"), ...issued]);
    await clock.advance(PREPARE_MS);
    for (const { signedToken } of signed) expect(await fates(signedToken)).toEqual(["none", "none"]);
  });

  test("takes the algorithm that the project has set, though it is still to come", async () => {
    const { id, first } = await world();
    await changeProject(id, { signingAlgorithm: "ES256" });
    const { id: second, algorithm } = await rotate(id, "GRACEFUL");
    expect(algorithm).toBe("ES256");
    expect(await states(id)).toEqual({ [second]: "PREPARED", [first]: "ACTIVE" });
  });

  test("leaves the keys of other projects as they are", async () => {
    const [one, two] = [await world(), await world()];
    const { signedToken } = await two.issue();
    await rotate(one.id, "GRACEFUL");
    await rotate(one.id, "REVOKE_ALL");
    expect(await states(two.id)).toEqual({ [two.first]: "ACTIVE" });
    expect(await fates(signedToken)).toEqual(["none", "none"]);
  });

  test("is refused while the project has as many keys as it may have; one of them gone, it is not", async () => {
    const { id, issue } = await world();
    const { token } = await issue(24 * HOUR_MS);
    for (let keys = 1; keys < MAX_SIGNING_KEYS; keys++) {
      await rotate(id, "GRACEFUL");
      await clock.advance(PREPARE_MS);
      await issue(24 * HOUR_MS);
    }
    expect(await refusal(rotate(id, "GRACEFUL"))).toBe("SIGNING_KEYS_FULL");
    expect(await refusal(changeProject(id, { signingAlgorithm: "ES256" }))).toBe("SIGNING_KEYS_FULL");
    expect((await tokens.projects.get(id)).settings.signingAlgorithm).toBe("ED25519");
    await clock.advance(token.expiresAt + STEP_MS + SKEW_MS - clock.now());
    expect(await refusal(rotate(id, "GRACEFUL"))).toBe("none");
    expect(await refusal(rotate(id, "REVOKE_ALL"))).toBe("none");
    expect(await list(id)).toHaveLength(1);
  });
});

describe("a rotation that revokes all", () => {
  test("ends every token of the project, stateless ones too, on every process within half a second", async () => {
    const { id, issue, issueElsewhere } = await world();
    const ended = [await issue(), await issue(HOUR_MS, true), await issueElsewhere()];
    for (const { signedToken } of ended) expect(await fates(signedToken)).toEqual(["none", "none"]);
    const { id: fresh, state } = await rotate(id, "REVOKE_ALL");
    expect(state).toBe("ACTIVE");
    for (const { signedToken } of ended)
      expect(await refusal(tokens.verifier.verify(signedToken))).toBe("TOKEN_INVALID");
    expect(await published(id)).toEqual([fresh]);
    await clock.advance(VIEW_MS);
    for (const { signedToken } of ended) expect(await fates(signedToken)).toEqual(["TOKEN_INVALID", "TOKEN_INVALID"]);
    expect(await published(id, elsewhere.tokens)).toEqual([fresh]);
  });

  test("takes retiring and prepared keys along", async () => {
    const { id, issue } = await world();
    await issue();
    await rotate(id, "GRACEFUL");
    await clock.advance(PREPARE_MS);
    await rotate(id, "GRACEFUL");
    expect(Object.values(await states(id)).toSorted()).toEqual(["ACTIVE", "PREPARED", "RETIRING"]);
    const { id: fresh } = await rotate(id, "REVOKE_ALL");
    expect(await states(id)).toEqual({ [fresh]: "ACTIVE" });
    expect(await rowsOf(id)).toEqual([fresh]);
  });

  test("leaves one key after twenty at once, and what is issued then is good", async () => {
    const { id, issue, issueElsewhere } = await world();
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => rotate(id, "REVOKE_ALL", n % 2 ? tokens : elsewhere.tokens)),
    );
    expect(await list(id)).toMatchObject([{ state: "ACTIVE" }]);
    for (const { signedToken } of [await issue(), await issueElsewhere()])
      expect(await fates(signedToken)).toEqual(["none", "none"]);
  });

  test("does not reach a token that is issued after it, though the process has not heard of it yet", async () => {
    const { id, issueElsewhere } = await world();
    await issueElsewhere();
    const { id: fresh } = await rotate(id, "REVOKE_ALL");
    const { signedToken } = await issueElsewhere();
    expect(kidOf(signedToken)).toBe(fresh);
    expect(await fates(signedToken)).toEqual(["none", "none"]);
  });

  test("against 200 tokens that are issued meanwhile ends those of the old keys and no other, the same on every process", async () => {
    const { id, issue, issueElsewhere } = await world();
    const issued = Array.from({ length: 200 }, (_, n) => (n % 2 ? issue() : issueElsewhere()));
    const rotations = Promise.all([rotate(id, "REVOKE_ALL"), rotate(id, "REVOKE_ALL", elsewhere.tokens)]);
    const signed = await Promise.all(issued);
    await rotations;
    const later = await Promise.all([issue(), issueElsewhere()]);
    await clock.advance(VIEW_MS);
    const [key, ...others] = await list(id);
    expect(others).toEqual([]);
    for (const { signedToken } of [...signed, ...later]) {
      const fate = kidOf(signedToken) === key?.id ? "none" : "TOKEN_INVALID";
      expect(await fates(signedToken)).toEqual([fate, fate]);
    }
    for (const { signedToken } of later) expect(kidOf(signedToken)).toBe(key?.id);
  });

  test("knows no project that is not there", async () => {
    const nobody = "019e830e-1cef-7227-a35b-b585a4134528";
    for (const mode of ["GRACEFUL", "REVOKE_ALL"] as const)
      expect(await refusal(rotate(nobody, mode))).toBe("PROJECT_NOT_FOUND");
  });

  test("works with a key that does not open any more, as it is replaced", async () => {
    const { id, issue } = await world();
    await db.pool.query("update signing_keys set sealed_private_key = $2 where project_id = $1", [id, randomBytes(64)]);
    await expect(issue()).rejects.toThrow("does not open");
    await rotate(id, "REVOKE_ALL");
    expect(await fates((await issue()).signedToken)).toEqual(["none", "none"]);
  });
});

describe("the list of keys", () => {
  test("counts the tokens that a key signed, that are kept and have neither ended nor been revoked", async () => {
    const { id, first, issue } = await world();
    expect(await list(id)).toMatchObject([{ id: first, liveTokens: 0 }]);
    const revoked = await issue();
    await issue(SECOND_MS);
    await issue();
    await issue(HOUR_MS, true);
    await db.pool.query("update tokens set revoke_time = now() where id = $1", [revoked.token.tokenId]);
    await (await world()).issue();
    expect(await list(id)).toMatchObject([{ id: first, liveTokens: 2 }]);
    await clock.advance(SECOND_MS);
    expect(await list(id)).toMatchObject([{ id: first, liveTokens: 1 }]);
    const { id: second } = await rotate(id, "GRACEFUL");
    await clock.advance(PREPARE_MS);
    await issue();
    expect(await list(id)).toMatchObject([
      { id: second, liveTokens: 1 },
      { id: first, liveTokens: 1 },
    ]);
  });

  test("says until when a token of a key may live, stateless ones too, at most eleven minutes too long", async () => {
    const { id, issue } = await world();
    const tooLong = async ({ token }: Awaited<ReturnType<typeof issue>>) =>
      ((await list(id))[0]?.lastExpireTime.getTime() ?? 0) - token.expiresAt;
    await issue(HOUR_MS);
    const longest = await issue(30 * HOUR_MS, true);
    await issue(2 * HOUR_MS);
    expect(await tooLong(longest)).toBeGreaterThanOrEqual(0);
    expect(await tooLong(longest)).toBeLessThanOrEqual(660_000);
  });

  test("costs a write per key in ten minutes, not one per token", async () => {
    const { id, issue, issueElsewhere } = await world();
    const version = async () =>
      (await db.pool.query("select xmin::text from signing_keys where project_id = $1", [id])).rows[0].xmin;
    await issue();
    const before = await version();
    for (let minute = 0; minute < 9; minute++) {
      await clock.advance(60_000);
      await issue();
      await issueElsewhere();
    }
    expect(await version()).toBe(before);
    await clock.advance(120_000);
    await issue();
    expect(await version()).not.toBe(before);
  });
});

async function rowsOf(projectId: string): Promise<string[]> {
  const text = "select id from signing_keys where project_id = $1 order by activate_time";
  return (await db.pool.query(text, [projectId])).rows.map((row) => row.id);
}
