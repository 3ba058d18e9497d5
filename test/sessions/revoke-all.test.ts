import { expect, test } from "vitest";
import { SessionService } from "../../src/gen/muster/v1/session_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { byLogin, ME, refresh, signUp } from "./sessions-fixture.ts";

const app = await startApp();
const { client, project } = app;
const isIn = async (token = "") => (await client(UserService, token).getUser(ME)).user?.id;

test("of a thousand refreshes that race with a revocation of all the user's tokens, nothing lives on", async () => {
  const own = await project();
  const { userId, grant } = await signUp(app, own, "racer");
  const tokens = [grant.refreshToken];
  const credential = byLogin("racer");
  for (let n = 1; n < 10; n++)
    tokens.push(
      (await client(SessionService).createSession({ projectId: own.id, credential })).grant?.refreshToken ?? "",
    );
  const calls = Array.from({ length: 1_000 }, (_, n) => refresh(app, own, tokens[n % tokens.length] ?? ""));
  const settled = Promise.allSettled(calls);
  await Promise.race(calls);
  await own.system(TokenService).revokeUserTokens({ ref: { ref: { case: "id", value: userId } } });
  const answers = (await settled).flatMap((it) =>
    it.status === "fulfilled" && it.value.grant ? [it.value.grant] : [],
  );
  expect(answers.length).toBeGreaterThan(0);
  const given = [...new Set(answers.flatMap((it) => [it.sessionToken, it.accessToken]))];
  const lives = await Promise.allSettled(given.map((token) => isIn(token)));
  expect(lives.filter(({ status }) => status === "fulfilled")).toEqual([]);
  for (const token of new Set(answers.map((it) => it.refreshToken)))
    expect(await reasonOf(refresh(app, own, token))).toBe("SESSION_NOT_FOUND");
  const { grant: again } = await client(SessionService).createSession({ projectId: own.id, credential });
  expect(await isIn(again?.sessionToken)).toBe(userId);
  expect(await isIn(again?.accessToken)).toBe(userId);
}, 60_000);
