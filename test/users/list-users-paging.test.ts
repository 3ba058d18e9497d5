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

/** Makes a user, changes one that stays, and deletes one that was made before. */
async function churn(made: TestProject, n: number): Promise<void> {
  const users = made.system(UserService);
  const named = (externalId: string) => ({ ref: { ref: { case: "externalId", value: externalId } } }) as const;
  const user = { name: `Name ${n % 11}`, login: `login-${n}`, email: `comes.${n}@example.org` };
  await users.upsertUser({ externalId: `comes-${n}`, user });
  await users.updateUser({ ...named(`stays-${(n * 13) % STAYING}`), user: { bio: `changed ${n}` } });
  if (n > 8) await users.deleteUser(named(`comes-${n - 8}`));
  await clock.advance(10);
}

test.for(["id", "external_id", "login desc", "email", "name", "name desc", "create_time", "create_time desc"])(
  "by %s, whoever stays is given exactly once while others come, change and go",
  async (orderBy) => {
    const made = await project();
    const staying = await withStaying(made);
    const seen: string[] = [];
    let steps = 0;
    for (let pageToken = ""; ; ) {
      const reading = made.system(UserService).listUsers({ orderBy, pageSize: PAGE, pageToken });
      const [page] = await Promise.all([reading, churn(made, ++steps), churn(made, ++steps), churn(made, ++steps)]);
      seen.push(...page.users.map(({ externalId }) => externalId));
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
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
