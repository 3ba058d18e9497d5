import { expect, test } from "vitest";
import type { PlainRequest, PlainResponse } from "../../src/rpc/plain-http.ts";
import { issueTo } from "../support/logout-server.ts";
import { plainRequest } from "../support/plain-request.ts";
import { startApp, type TestApp } from "../support/start-app.ts";
import { outcomeOf, withUsers } from "./token-fixture.ts";
import { takeAway } from "./tokens-fixture.ts";

/** What the app answers, without a port, to one who presses the button. */
async function press({ app }: TestApp, url: string, request: Partial<PlainRequest> = {}): Promise<PlainResponse> {
  const route = app.httpRoutes.find(({ method, path }) => method === "POST" && path.test("/logout"));
  if (!route) throw new Error("there is no such route");
  const form = new URL(url).searchParams;
  return route.handle({ ...plainRequest("/logout", ["/logout"]), method: "POST", form, ...request });
}

test("a link is good until the token expires; then it says so and ends nothing", async () => {
  const app = await startApp();
  const project = await withUsers(app);
  const { logoutUrl } = await issueTo(project, { ttl: { seconds: 60n } });
  const later = await issueTo(project, { ttl: { seconds: 60n } });
  await app.clock.advance(59_999);
  expect(await press(app, logoutUrl)).toMatchObject({ status: 200 });
  await app.clock.advance(1);
  expect(await press(app, later.logoutUrl)).toMatchObject({ status: 410 });
  expect((await app.db.pool.query("select from revocations where token_id = $1", [later.tokenId])).rowCount).toBe(0);
});

test("while the database is away a page says when to try again, and then it does", async () => {
  const app = await startApp();
  const project = await withUsers(app);
  const { logoutUrl, signedToken } = await issueTo(project);
  const giveBack = takeAway(app.db);
  const answer = await press(app, logoutUrl);
  giveBack();
  expect(answer).toMatchObject({ status: 503, headers: { "retry-after": "1", "referrer-policy": "no-referrer" } });
  expect(answer.body).toContain("You are not signed out yet");
  expect(await outcomeOf(app, signedToken)).toBe("answered");
  expect(await press(app, logoutUrl)).toMatchObject({ status: 200 });
  expect(await outcomeOf(app, signedToken)).toBe("TOKEN_REVOKED");
});

test("an address that asks too often is told when to come back; another one is not held up", async () => {
  const app = await startApp({ config: { rateFactor: 1, trustedProxies: ["127.0.0.1"] } });
  const { logoutUrl } = await issueTo(await withUsers(app));
  const from = (address: string) => press(app, logoutUrl, { headers: { "x-forwarded-for": address } });
  const statuses: number[] = [];
  let refused: PlainResponse | undefined;
  for (let tries = 0; tries < 200 && !refused; tries++) {
    const answers = await Promise.all(Array.from({ length: 11 }, () => from("198.51.100.1")));
    statuses.push(...answers.map(({ status }) => status));
    refused = answers.find(({ status }) => status === 429);
  }
  expect(statuses.slice(0, 10)).toEqual(Array<number>(10).fill(200));
  expect(refused?.headers?.["retry-after"]).toBe("1");
  expect((await from("198.51.100.2")).status).toBe(200);
});
