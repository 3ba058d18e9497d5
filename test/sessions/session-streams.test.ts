import { expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp, type TestApp } from "../support/start-app.ts";
import { guest, ME, refresh } from "./sessions-fixture.ts";

const one = await startApp();
const own = await one.project();
const MINUTE = 60_000;

/** A stream that is open, and how it ends. */
async function watch({ client }: TestApp, credential: string) {
  const messages = client(PresenceService, credential)
    .watchPresence({ refs: [ME.ref] })
    [Symbol.asyncIterator]();
  for (;;) {
    const { value } = await messages.next();
    if (value?.event.case === "snapshotComplete") break;
  }
  const ended = (async () => {
    for (;;) if ((await messages.next()).done) return;
  })();
  ended.catch(() => {});
  return { ended };
}

test("a stream ends with the session it was opened in, whichever server ends it", async () => {
  const two = await startApp({ db: one.db, config: { encryptionKeys: one.config.encryptionKeys } });
  const { grant } = await guest(one, own);
  const { grant: others } = await guest(one, own);
  const streams = [await watch(two, grant.sessionToken), await watch(two, grant.accessToken)];
  const bystander = await watch(two, others.sessionToken);
  await one.client(SessionService, grant.sessionToken).deleteSession({});
  await two.clock.advance(500);
  expect(await reasonOf(streams[0]?.ended ?? Promise.resolve())).toBe("SESSION_NOT_FOUND");
  expect(await reasonOf(streams[1]?.ended ?? Promise.resolve())).toBe("TOKEN_REVOKED");
  await one.client(SessionService, others.sessionToken).deleteSession({});
  await two.clock.advance(500);
  expect(await reasonOf(bystander.ended)).toBe("SESSION_NOT_FOUND");
});

test("a stream ends when a refresh token comes back after its time", async () => {
  const { grant } = await guest(one, own);
  const stream = await watch(one, grant.sessionToken);
  const given = (await refresh(one, own, grant.refreshToken)).grant?.refreshToken ?? "";
  await refresh(one, own, given);
  expect(await reasonOf(refresh(one, own, grant.refreshToken))).toBe("REFRESH_TOKEN_REUSED");
  await one.clock.advance(500);
  expect(await reasonOf(stream.ended)).toBe("SESSION_NOT_FOUND");
});

test("a session goes on while a stream is open in it, and no longer than it may", async () => {
  const brief = await one.project({ sessionTtl: { seconds: 60n }, sessionTtlMax: { seconds: 600n } } as never);
  const { grant, userId } = await guest(one, brief);
  const idle = await guest(one, brief);
  const stream = await watch(one, grant.sessionToken);
  const isIn = async (token: string) => (await one.client(UserService, token).getUser(ME)).user?.id;
  for (let half = 0; half < 10; half++) {
    await one.clock.advance(MINUTE / 2);
    // The write of one half minute has to be there before the next one begins.
    await one.client(SessionService, grant.accessToken).getSession({});
  }
  expect(await reasonOf(isIn(idle.grant.sessionToken))).toBe("SESSION_NOT_FOUND");
  expect(await isIn(grant.sessionToken)).toBe(userId);
  await one.clock.advance(5 * MINUTE);
  expect(await reasonOf(stream.ended)).toBe("SESSION_NOT_FOUND");
  expect(await reasonOf(isIn(grant.sessionToken))).toBe("SESSION_NOT_FOUND");
});
