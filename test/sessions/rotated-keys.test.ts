import { describe, expect, test } from "vitest";
import { reseal } from "../../src/db/reseal.ts";
import { RefreshOutcome, RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { SEALED_COLUMNS } from "../../src/sealed-columns.ts";
import { createSealer } from "../../src/sealing.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { guest, ME, refresh } from "./sessions-fixture.ts";

const oldKey = Buffer.from("the encryption key of before ...");
const newKey = Buffer.from("the encryption key of afterwards");
const app = await startApp({ config: { encryptionKeys: [oldKey] } });

describe("a session", () => {
  test("outlives its signing keys: its access tokens end, it goes on, and a refresh gives one of the new key", async () => {
    const project = await app.project();
    const { userId, grant } = await guest(app, project);
    await project.system(TokenService).rotateSigningKey({ mode: RotationMode.REVOKE_ALL });
    expect(await reasonOf(app.client(UserService, grant.accessToken).getUser(ME))).toBe("TOKEN_INVALID");
    expect((await app.client(UserService, grant.sessionToken).getUser(ME)).user?.id).toBe(userId);
    const { grant: next, outcome } = await refresh(app, project, grant.refreshToken);
    expect(outcome).toBe(RefreshOutcome.ROTATED);
    expect((await app.client(UserService, next?.accessToken).getUser(ME)).user?.id).toBe(userId);
  });

  test("has its access tokens count for how long their key stays, though they are not kept", async () => {
    const project = await app.project();
    const { grant } = await guest(app, project);
    const { keys } = await project.system(TokenService).listSigningKeys({});
    expect(keys).toMatchObject([{ liveTokens: 0n }]);
    expect(keys[0]?.safeToRetireTime?.seconds).toBeGreaterThanOrEqual(grant.accessTokenExpireTime?.seconds ?? 0n);
  });

  test("is refreshed by the same tokens after its seed was sealed under another encryption key", async () => {
    const project = await app.project();
    const { userId, grant } = await guest(app, project);
    await reseal(app.db, createSealer([newKey, oldKey]), SEALED_COLUMNS);
    const after = await startApp({ db: app.db, clock: app.clock, config: { encryptionKeys: [newKey] } });
    const { grant: next } = await refresh(after, project, grant.refreshToken);
    expect((await after.client(UserService, next?.accessToken).getUser(ME)).user?.id).toBe(userId);
    expect((await after.client(UserService, next?.sessionToken).getUser(ME)).user?.id).toBe(userId);
  });
});
