import { randomBytes } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import type { SigningAlgorithm } from "../../src/projects/projects.ts";
import { createSealer } from "../../src/sealing.ts";
import { keyStateAt } from "../../src/tokens/key-life.ts";
import { listSigningKeys } from "../../src/tokens/list-signing-keys.ts";
import { rotateSigningKey } from "../../src/tokens/rotate-signing-key.ts";
import { TEST_ACT } from "../support/test-act.ts";
import { PREPARE_MS, refusal, takeAway, tokensFixture, tokensOn } from "./tokens-fixture.ts";

const { db, clock, sealer, tokens, project, changeProject, user, issue } = await tokensFixture();
const elsewhere = tokensOn(db, clock, sealer);

const states = async (projectId: string) =>
  (await listSigningKeys(tokens, { projectId })).map(({ algorithm, state }) => `${algorithm} ${state}`);
const kidOf = (token: string): string => JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString()).kid;

describe("a project's signing keys", () => {
  test("are there as soon as the project is, one, of its algorithm", async () => {
    for (const signingAlgorithm of ["ED25519", "ES256", "RS256"] as SigningAlgorithm[])
      expect(await states(await project({ signingAlgorithm }))).toEqual([`${signingAlgorithm} ACTIVE`]);
    expect(await states(await project())).toEqual(["ED25519 ACTIVE"]);
  });

  test("follow the algorithm: a new one is published, then signs, the one before retires and its tokens live on", async () => {
    const id = await project();
    const holder = await user(id);
    const before = await issue(id, holder.id);
    await changeProject(id, { signingAlgorithm: "ES256" });
    expect(await states(id)).toEqual(["ES256 PREPARED", "ED25519 ACTIVE"]);
    await clock.advance(PREPARE_MS - 1);
    expect(kidOf((await issue(id, holder.id)).signedToken)).toBe(kidOf(before.signedToken));
    await clock.advance(1);
    const after = await issue(id, holder.id);
    await changeProject(id, { signingAlgorithm: "RS256" });
    await clock.advance(PREPARE_MS);
    const last = await issue(id, holder.id);
    expect(await states(id)).toEqual(["RS256 ACTIVE", "ES256 RETIRING", "ED25519 RETIRING"]);
    const listed = (await listSigningKeys(tokens, { projectId: id })).map((key) => key.id);
    expect([last, after, before].map(({ signedToken }) => kidOf(signedToken))).toEqual(listed);
    for (const { signedToken } of [before, after, last])
      for (const { verifier } of [tokens, elsewhere.tokens])
        expect(await refusal(verifier.verify(signedToken))).toBe("none");
  });

  test("stay as they are when another setting changes", async () => {
    const id = await project();
    await changeProject(id, { defaultPresence: "away" });
    await changeProject(id, { signingAlgorithm: "ED25519" });
    expect(await states(id)).toEqual(["ED25519 ACTIVE"]);
  });

  test("follow the last of several changes at once; one of them is active at any moment", async () => {
    const id = await project();
    await Promise.all([
      changeProject(id, { signingAlgorithm: "ES256" }),
      elsewhere.changeProject(id, { signingAlgorithm: "RS256" }),
      changeProject(id, { signingAlgorithm: "ED25519" }),
    ]);
    for (let passed = 0; passed <= PREPARE_MS; passed += PREPARE_MS / 4) {
      expect((await states(id)).filter((state) => state.endsWith("ACTIVE"))).toHaveLength(1);
      await clock.advance(PREPARE_MS / 4);
    }
    const { signingAlgorithm } = (await tokens.projects.get(id)).settings;
    expect(await states(id)).toContain(`${signingAlgorithm} ACTIVE`);
  });

  test("are not those of another project", async () => {
    const [one, two] = [await project(), await project()];
    const [ofOne, ofTwo] = [
      await listSigningKeys(tokens, { projectId: one }),
      await listSigningKeys(tokens, { projectId: two }),
    ];
    expect(ofOne[0]?.id).not.toBe(ofTwo[0]?.id);
    const nobody = listSigningKeys(tokens, { projectId: "019e830e-1cef-7227-a35b-b585a4134528" });
    expect(await refusal(nobody)).toBe("PROJECT_NOT_FOUND");
  });

  test("are sealed: they open for their own project and id only, and under no other key", async () => {
    const id = await project();
    const { rows } = await db.pool.query("select id, sealed_private_key from signing_keys where project_id = $1", [id]);
    const context = { purpose: "signing-key", projectId: id, id: rows[0].id };
    const opened = JSON.parse(sealer.open(rows[0].sealed_private_key, context).toString());
    expect(opened).toMatchObject({ kty: "OKP", d: expect.any(String) });
    expect(rows[0].sealed_private_key.includes(opened.d)).toBe(false);
    const wrong = { ...context, projectId: await project() };
    expect(() => sealer.open(rows[0].sealed_private_key, wrong)).toThrow();
    expect(() => createSealer([randomBytes(32)]).open(rows[0].sealed_private_key, context)).toThrow();
  });

  test("moved by hand to another project do not sign there", async () => {
    const [one, two] = [await project(), await project()];
    await db.pool.query(
      `update signing_keys k set sealed_private_key = o.sealed_private_key, public_jwk = o.public_jwk
        from signing_keys o where k.project_id = $1 and o.project_id = $2`,
      [one, two],
    );
    const holder = await user(one);
    await expect(issue(one, holder.id)).rejects.toThrow("belongs elsewhere");
  });
});

describe("a process's view of the keys", () => {
  test("is not older than half a second: a key that is gone verifies nothing any more", async () => {
    const id = await project();
    const holder = await user(id);
    const { signedToken } = await issue(id, holder.id);
    expect(await refusal(elsewhere.tokens.verifier.verify(signedToken))).toBe("none");
    await db.pool.query("delete from signing_keys where project_id = $1", [id]);
    await clock.advance(500);
    expect(await refusal(elsewhere.tokens.verifier.verify(signedToken))).toBe("TOKEN_INVALID");
    expect(await refusal(tokens.verifier.verify(signedToken))).toBe("TOKEN_INVALID");
    expect(await refusal(issue(id, holder.id))).toBe("PROJECT_NOT_FOUND");
  });

  test("takes in a key that another process began to use this moment", async () => {
    const id = await project();
    const holder = await user(id);
    const before = await issue(id, holder.id);
    expect(await refusal(elsewhere.tokens.verifier.verify(before.signedToken))).toBe("none");
    await rotateSigningKey({ ...tokens, announceEnd() {} }, { projectId: id, act: TEST_ACT }, "REVOKE_ALL");
    const { signedToken } = await issue(id, holder.id);
    expect(kidOf(signedToken)).not.toBe(kidOf(before.signedToken));
    expect(await refusal(elsewhere.tokens.verifier.verify(signedToken))).toBe("none");
  });

  test("costs one look for any number of callers at once", async () => {
    const id = await project();
    const fresh = tokensOn(db, clock, sealer);
    const connect = vi.spyOn(db.pool, "connect");
    const keys = await Promise.all(Array.from({ length: 50 }, () => fresh.tokens.keys.list(id)));
    expect(connect).toHaveBeenCalledTimes(1);
    await fresh.tokens.keys.list(id);
    expect(connect).toHaveBeenCalledTimes(1);
    connect.mockRestore();
    expect(new Set(keys).size).toBe(1);
  });

  test("stays while the database is away, for an hour, and takes in what happened meanwhile", async () => {
    const id = await project();
    const known = await tokens.keys.list(id);
    const bringBack = takeAway(db);
    await clock.advance(501);
    expect(await tokens.keys.list(id)).toEqual(known);
    await clock.advance(3_500_000);
    expect(await tokens.keys.list(id)).toEqual(known);
    expect(await refusal(tokens.keys.list(await Promise.resolve("019e830e-1cef-7227-a35b-b585a4134528")))).toBe(
      "STORAGE_UNAVAILABLE",
    );
    await clock.advance(100_000);
    expect(await refusal(tokens.keys.list(id))).toBe("STORAGE_UNAVAILABLE");
    bringBack();
    await changeProject(id, { signingAlgorithm: "ES256" });
    expect(await tokens.keys.list(id)).toMatchObject([{ alg: "ES256" }, { alg: "EdDSA" }]);
  });

  test("goes on with the times it knows while the database is away", async () => {
    const id = await project();
    await changeProject(id, { signingAlgorithm: "ES256" });
    const statesThere = async () =>
      (await tokens.keys.list(id)).map((key) => `${key.alg} ${keyStateAt(key, clock.now())}`);
    expect(await statesThere()).toEqual(["ES256 PREPARED", "EdDSA ACTIVE"]);
    const bringBack = takeAway(db);
    await clock.advance(PREPARE_MS);
    expect(await statesThere()).toEqual(["ES256 ACTIVE", "EdDSA RETIRING"]);
    bringBack();
  });
});
