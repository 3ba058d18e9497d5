import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { EndedAccess } from "../../src/revocations/ended-access.ts";
import type { RevocationCause, RevocationSubject } from "../../src/revocations/revocation.ts";
import { createFakeClock } from "../support/fake-clock.ts";

const clock = createFakeClock();
const projectId = randomUUID();
const [userId, tokenId, sessionId, keyId, accessKeyId] = Array.from({ length: 5 }, () => randomUUID());

const ended = (subject: RevocationSubject, cause: RevocationCause = "TOKEN_REVOKED", its = projectId) => ({
  projectId: its,
  subject,
  cause,
  forgetAfterTime: new Date(clock.now()),
});

const holding = (...revocations: ReturnType<typeof ended>[]) => {
  const all = new EndedAccess(clock);
  all.add(revocations);
  return all;
};

const access = { projectId, userId, tokenId, sessionId, keyId, issuedAt: 5_000 };

test.each([
  ["its token", { tokenId }],
  ["its session", { sessionId }],
  ["the key that signed it", { keyId }],
  ["its user's earlier tokens", { userId, beforeTime: new Date(5_001) }],
  ["its project", { wholeProject: true }],
] as [string, RevocationSubject][])("access ends with %s, in the one project", (_, subject) => {
  expect(holding(ended(subject)).causeFor(access)).toBe("TOKEN_REVOKED");
  expect(holding(ended(subject, "TOKEN_REVOKED", randomUUID())).causeFor(access)).toBeUndefined();
});

test("of a user, what was issued at that moment or later goes on", () => {
  const all = holding(ended({ userId: userId ?? "", beforeTime: new Date(5_000) }));
  expect(all.causeFor(access)).toBeUndefined();
});

test("what is heard later does not take back what was ended", () => {
  const at = (ms: number) => ended({ userId: userId ?? "", beforeTime: new Date(ms) });
  expect(holding(at(9_000), at(1_000)).causeFor(access)).toBe("TOKEN_REVOKED");
});

test("an access key ends what calls with it", () => {
  const all = holding(ended({ accessKeyId: accessKeyId ?? "" }, "ACCESS_KEY_REVOKED"));
  expect(all.causeFor({ projectId, accessKeyId })).toBe("ACCESS_KEY_REVOKED");
  expect(all.causeFor(access)).toBeUndefined();
});

test("what is older than ten minutes is not kept", async () => {
  const all = holding(ended({ tokenId: tokenId ?? "" }));
  await clock.advance(600_001);
  all.add([ended({ sessionId: randomUUID() })]);
  expect(all.causeFor(access)).toBeUndefined();
});
