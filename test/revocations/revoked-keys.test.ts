import { timestampMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { RevocationCause } from "../../src/gen/muster/v1/revocation_pb.ts";
import { RotationMode, TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { RevocationReader } from "../support/revocation-reader.ts";
import { startApp } from "../support/start-app.ts";
import { alice, withUsers } from "../tokens/token-fixture.ts";

const app = await startApp();
const PATIENCE = { timeout: 15_000, interval: 5 };
const { GRACEFUL, REVOKE_ALL } = RotationMode;

test("a reader is told of each key that was revoked, until the last of its tokens would have ended, and of none that was rotated", async () => {
  const { tokens, accessKey } = await withUsers(app);
  const { token } = await tokens.issueToken({ ref: alice, stateless: true });
  await tokens.rotateSigningKey({ mode: GRACEFUL });
  await app.clock.advance(app.config.signingKeyPrepareMs);
  await tokens.issueToken({ ref: alice });
  await tokens.rotateSigningKey({ mode: GRACEFUL });
  const { keys } = await tokens.listSigningKeys({});
  expect(keys).toHaveLength(3);
  const reader = new RevocationReader(app.client(TokenService, accessKey));
  await expect.poll(() => reader.kinds, PATIENCE).toEqual(["snapshotComplete"]);

  await tokens.rotateSigningKey({ mode: REVOKE_ALL });
  await expect.poll(() => reader.revocations.length, PATIENCE).toBe(3);
  expect(reader.subjects.toSorted()).toEqual(keys.map(({ id }) => id).toSorted());
  for (const { subject, cause } of reader.revocations)
    expect([subject.case, cause]).toEqual(["keyId", RevocationCause.KEY_REVOKED]);
  const first = reader.revocations.find(({ subject }) => subject.value === keys.at(-1)?.id);
  const [forgotten, ends] = [first?.forgetAfterTime, token?.expireTime].map((time) => (time ? timestampMs(time) : 0));
  expect(forgotten).toBeGreaterThan(ends ?? 0);
  reader.leave();
});

test("a token that is extended counts under the key that signed it last", async () => {
  const { tokens } = await withUsers(app);
  const { token } = await tokens.issueToken({ ref: alice });
  await tokens.issueToken({ ref: alice });
  const live = async () => (await tokens.listSigningKeys({})).keys.map(({ liveTokens }) => liveTokens);
  expect(await live()).toEqual([2n]);
  await tokens.rotateSigningKey({ mode: GRACEFUL });
  await app.clock.advance(app.config.signingKeyPrepareMs);
  await tokens.extendToken({ tokenId: token?.id ?? "" });
  expect(await live()).toEqual([1n, 1n]);
  await tokens.revokeToken({ tokenId: token?.id ?? "" });
  expect(await live()).toEqual([0n, 1n]);
});
