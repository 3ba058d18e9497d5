import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { startApp, type TestProject } from "../support/start-app.ts";

const { project, clock } = await startApp();

/** Users who stay, each with a value in every order, and some who share one. */
const STAYING = 120;
const PAGE = 7;

async function withStaying(made: TestProject): Promise<string[]> {
  const users = Array.from({ length: STAYING }, (_, n) => ({
    externalId: `stays-${n}`,
    user: {
      ...(n % 3 && { name: `Name ${n % 11}` }),
      ...(n % 2 && { login: `login${n}` }),
      ...(n % 5 && { email: `user${n}@example.org` }),
      tags: ["stays"],
    },
  }));
  for (let n = 0; n < STAYING; n += 20) {
    await made.system(UserService).batchUpsertUsers({ users: users.slice(n, n + 20) });
    await clock.advance(1_000);
  }
  return users.map(({ externalId }) => externalId);
}

/** Makes, changes and deletes users until it is told to end; gives how many it made. */
async function churn(made: TestProject, ended: AbortSignal, step: number): Promise<number> {
  const users = made.system(UserService);
  for (let n = 0; ; n++) {
    if (ended.aborted) return n;
    const externalId = `comes-${step}-${n}`;
    await users.upsertUser({ externalId, user: { name: `Name ${n % 11}`, email: `comes${step}.${n}@example.org` } });
    const bio = { bio: `${step} ${n}` };
    await users.updateUser({ ref: { ref: { case: "externalId", value: `stays-${(n * 13) % STAYING}` } }, user: bio });
    if (n > 2) await users.deleteUser({ ref: { ref: { case: "externalId", value: `comes-${step}-${n - 3}` } } });
    await clock.advance(10);
  }
}

test.for(["id", "external_id", "login desc", "email", "name", "name desc", "create_time", "create_time desc"])(
  "by %s, whoever stays is given exactly once while others come, change and go",
  async (orderBy) => {
    const made = await project();
    const staying = await withStaying(made);
    const ended = new AbortController();
    const churning = [churn(made, ended.signal, 1), churn(made, ended.signal, 2)];
    const seen: string[] = [];
    for (let pageToken = ""; ; ) {
      const page = await made.system(UserService).listUsers({ orderBy, pageSize: PAGE, pageToken });
      seen.push(...page.users.map(({ externalId }) => externalId));
      pageToken = page.nextPageToken;
      // In the order of their making those who come go on coming.
      if (pageToken === "" || seen.length > 5_000) break;
      if (staying.every((id) => seen.includes(id))) break;
    }
    ended.abort();
    expect(Math.min(...(await Promise.all(churning)))).toBeGreaterThan(3);
    expect(seen.filter((id) => id.startsWith("stays")).toSorted()).toEqual(staying.toSorted());
    expect(new Set(seen).size).toBe(seen.length);
  },
);

test("a page begins behind its predecessor's last user, also when that one is gone or has changed", async () => {
  const made = await project();
  const users = made.system(UserService);
  for (const name of ["a", "b", "c", "d"]) await users.upsertUser({ externalId: name, user: { name } });
  const first = await users.listUsers({ orderBy: "name", pageSize: 2 });
  await users.deleteUser({ ref: { ref: { case: "externalId", value: "b" } } });
  const rest = await users.listUsers({ orderBy: "name", pageSize: 2, pageToken: first.nextPageToken });
  expect(rest.users.map(({ name }) => name)).toEqual(["c", "d"]);
});

test("pages go on through those of one and the same value", async () => {
  const made = await project();
  const users = made.system(UserService);
  const same = Array.from({ length: 50 }, (_, n) => ({ externalId: `u${n}`, user: { name: "Same" } }));
  await users.batchUpsertUsers({ users: same });
  const seen: string[] = [];
  for (let pageToken = ""; ; ) {
    const page = await users.listUsers({ orderBy: "create_time desc", pageSize: 9, pageToken });
    seen.push(...page.users.map(({ id }) => id));
    pageToken = page.nextPageToken;
    if (pageToken === "") break;
  }
  expect(seen).toEqual(seen.toSorted().toReversed());
  expect(new Set(seen).size).toBe(50);
});
