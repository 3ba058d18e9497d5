import { expect, test } from "vitest";
import { ErrorReason } from "../../src/gen/muster/v1/error_reason_pb.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { LocatorType } from "../../src/gen/muster/v1/user_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { guest, refresh } from "../sessions/sessions-fixture.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const app = await startApp();
const { clock, db, project } = app;
const alice = { ref: { case: "externalId", value: "alice" } } as const;

const count = async (sql: string, values: unknown[]): Promise<number> =>
  Number((await db.pool.query(`select count(*) from ${sql}`, values)).rows[0].count);

/** Has a job run: lets time pass, less than a minute, until it has succeeded. */
const runs = async (job: string) => {
  const makeDue = "update jobs set due_time = $2, last_success_time = null where name = $1 and run_id is null";
  const isIdle = async () => (await db.pool.query(makeDue, [job, new Date(clock.now())])).rowCount;
  await comes(isIdle, 1);
  await comes(() => count("jobs where name = $1 and last_success_time is not null", [job]), 1);
};

/** Lets time pass, a second at a time, until `read` gives what is expected. */
const comes = async (read: () => Promise<unknown>, expected: unknown) =>
  await expect
    .poll(
      async () => {
        await clock.advance(1_000);
        return read();
      },
      { interval: 10 },
    )
    .toEqual(expected);

test("the row of a token goes a day after the token has expired, and no sooner", async () => {
  const { id, system } = await project();
  await system(UserService).upsertUser({ externalId: "alice" });
  const tokens = system(TokenService);
  const { signedToken } = await tokens.issueToken({ ref: alice, ttl: { seconds: 60n } });
  await tokens.issueToken({ ref: alice, ttl: { seconds: 7_200n } });
  const left = () => count("tokens where project_id = $1", [id]);
  clock.step(23 * HOUR);
  await runs("expired-tokens");
  expect(await left()).toBe(2);
  clock.step(HOUR + MINUTE);
  await runs("expired-tokens");
  expect(await left()).toBe(1);
  const { active, reason } = await tokens.verifyToken({ token: signedToken });
  expect([active, reason]).toEqual([false, ErrorReason.TOKEN_EXPIRED]);
  clock.step(2 * HOUR);
  await runs("expired-tokens");
  expect(await left()).toBe(0);
});

test("a guest whose time is over is deleted without anyone calling, and who watches it is told", async () => {
  const own = await project();
  const { system } = own;
  const { userId: id, grant } = await guest(app, own);
  const itself = { ref: { ref: { case: "id", value: id } } } as const;
  const leaving = new AbortController();
  const refs = [{ ref: { case: "id" as const, value: id } }];
  const told: string[] = [];
  const watching = (async () => {
    for await (const { event } of system(PresenceService).watchPresence({ refs }, { signal: leaving.signal }))
      if (event.case) told.push(event.case);
  })().catch(() => {});
  await expect.poll(() => told).toContain("snapshotComplete");
  clock.step(23 * HOUR);
  await runs("guests");
  await system(UserService).getUser(itself);
  clock.step(HOUR);
  await runs("guests");
  expect(await reasonOf(system(UserService).getUser(itself))).toBe("USER_DELETED");
  expect(await reasonOf(refresh(app, own, grant.refreshToken))).toBe("SESSION_NOT_FOUND");
  await expect.poll(() => told).toContain("userDeleted");
  leaving.abort();
  await watching;
});

test("of thousands of expired rows none is left over", async () => {
  const { id, system } = await project();
  await system(UserService).upsertUser({ externalId: "alice" });
  await db.pool.query(
    `insert into tokens (project_id, id, user_id, issue_time, expire_time)
     select project_id, gen_random_uuid(), id, $2, $2 from users, generate_series(1, 2500) where project_id = $1`,
    [id, new Date(clock.now())],
  );
  clock.step(25 * HOUR);
  await runs("expired-tokens");
  expect(await count("tokens where project_id = $1", [id])).toBe(0);
});

test("what is kept of a code that was sent goes once it neither verifies anything nor bounds how many are sent", async () => {
  const { id, system } = await project();
  const users = system(UserService);
  await users.upsertUser({ externalId: "alice", user: { email: "alice@example.com" } });
  const locator = { type: LocatorType.EMAIL, value: "alice@example.com" };
  const ask = () => users.requestLocatorVerification({ ref: alice, locator });
  for (let i = 0; i < 5; i++) {
    await ask();
    await clock.advance(MINUTE);
  }
  expect(await reasonOf(ask())).toBe("RATE_LIMITED");
  const left = () => count("locator_codes where project_id = $1", [id]);
  clock.step(45 * MINUTE);
  await runs("locator-codes");
  expect(await reasonOf(ask())).toBe("RATE_LIMITED");
  expect(await left()).toBe(1);
  clock.step(2 * HOUR);
  await runs("locator-codes");
  expect(await left()).toBe(0);
  await ask();
});

test("the deletion of an attribute definition that broke off is finished", async () => {
  const { id, system } = await project();
  const users = system(UserService);
  await users.defineAttribute({ definition: { key: "color", contentTypes: ["text/plain"] } });
  const color = { contentType: "text/plain", value: { case: "text", value: "red" } } as const;
  await users.upsertUser({ externalId: "alice", user: { attributes: { color } } });
  await db.pool.query("update attribute_definitions set delete_time = $2 where project_id = $1", [
    id,
    new Date(clock.now()),
  ]);
  await runs("attribute-deletions");
  expect(await count("attribute_definitions where project_id = $1", [id])).toBe(0);
  expect((await users.getUser({ ref: alice })).user?.attributes).toEqual({});
});
