import { expect, test } from "vitest";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import type { ExportUserResponse } from "../../src/gen/muster/v1/user_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf, refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import { addEvents, byId, exportOf } from "./export-fixture.ts";

const app = await startApp();
const { db, client } = app;
/** So many that their export comes in dozens of chunks. */
const MANY = 10_000;

async function userWithHistory() {
  const project = await app.project();
  const { id, token } = await project.signedInUser("alice");
  await addEvents(db, project.id, id, MANY);
  return { project, id, token, users: project.system(UserService) };
}

/** An export of which one chunk was read; `rest` reads the others. */
async function begun(stream: AsyncIterable<ExportUserResponse>) {
  const chunks = stream[Symbol.asyncIterator]();
  const read: Uint8Array[] = [];
  const next = async () => {
    const { value, done } = await chunks.next();
    if (!done) read.push((value as ExportUserResponse).chunk);
    return !done;
  };
  await next();
  return {
    text: () => Buffer.concat(read).toString("utf8"),
    async rest() {
      while (await next());
    },
  };
}

test("a user that is deleted meanwhile fails the export, and what was read of it is no document", async () => {
  const { id, users } = await userWithHistory();
  const { rest, text } = await begun(users.exportUser({ ref: byId(id) }));
  await users.deleteUser({ ref: byId(id) });
  expect(await reasonOf(rest())).toBe("USER_DELETED");
  expect(text()).toContain('"version":1');
  expect(() => JSON.parse(text())).toThrow(SyntaxError);
});

test("a user is given one export of itself at a time, and another one as soon as it has left the first", async () => {
  const { id, token, users } = await userWithHistory();
  const own = client(UserService, token);
  const left = new AbortController();
  const first = own.exportUser({ ref: byId(id) }, { signal: left.signal })[Symbol.asyncIterator]();
  await first.next();
  const second = await refusalOf(exportOf(own, id));
  expect(second.reason).toBe("RATE_LIMITED");
  expect(second.retryAfter).toBeGreaterThan(0);
  expect((await exportOf(users, id)).events).toHaveLength(MANY + 1);
  left.abort();
  await expect.poll(() => exportOf(own, id).then(({ events }) => events.length, reasonOfFailure)).toBe(MANY + 1);
  expect((await exportOf(own, id)).events).toHaveLength(MANY + 1);
});

const reasonOfFailure = (error: unknown) => reasonOf(Promise.reject(error as Error));

/** A watch that is open. `ended` settles when it is ended: all streams of a caller are ended together. */
async function openWatch(token: string, id: string): Promise<{ readonly ended: Promise<void> }> {
  const watch = client(PresenceService, token)
    .watchPresence({ refs: [byId(id)] })
    [Symbol.asyncIterator]();
  await watch.next();
  const rest = async () => {
    while (!(await watch.next()).done);
  };
  return { ended: rest().catch(() => {}) };
}

test("the export of a user of itself ends with its token", async () => {
  const { project, id } = await userWithHistory();
  const ttl = { seconds: 2n };
  const { signedToken: token } = await project.system(TokenService).issueToken({ ref: byId(id), ttl });
  const { rest } = await begun(client(UserService, token).exportUser({ ref: byId(id) }));
  await app.clock.advance(2_000);
  expect(await reasonOf(rest())).toBe("TOKEN_EXPIRED");
});

test("the export of a user of itself ends with a suspension that blocks its sign-in; that of `.system` does not", async () => {
  const { id, token, users } = await userWithHistory();
  const own = await begun(client(UserService, token).exportUser({ ref: byId(id) }));
  const system = await begun(users.exportUser({ ref: byId(id) }));
  const { ended } = await openWatch(token, id);
  await users.suspendUser({ ref: byId(id), suspension: { blocksSignIn: true } });
  await app.clock.advance(500);
  await ended;
  expect(await reasonOf(own.rest())).toBe("USER_SUSPENDED");
  await system.rest();
  const { suspensions, events } = JSON.parse(system.text()) as { suspensions: unknown[]; events: unknown[] };
  expect([suspensions.length, events.length]).toEqual([0, MANY + 1]);
});

test("events that were committed when the export began are all in it, also behind older transactions; those after are not", async () => {
  const { project, id, users } = await userWithHistory();
  const older = await db.pool.connect();
  try {
    await older.query("begin");
    await older.query(
      "insert into events (project_id, id, type, user_id, data, create_time) values ($1, $2, 'a.b', $2, '{}', now())",
      [project.id, id],
    );
    await addEvents(db, project.id, id, 1);
    const { rest, text } = await begun(users.exportUser({ ref: byId(id) }));
    await older.query("commit");
    await addEvents(db, project.id, id, 1);
    await rest();
    const { events } = JSON.parse(text()) as { events: { id: string; type: string }[] };
    expect(events).toHaveLength(MANY + 2);
    expect(events.filter(({ type }) => type === "a.b")).toEqual([]);
  } finally {
    older.release();
  }
  expect((await exportOf(users, id)).events).toHaveLength(MANY + 4);
});

test("every event comes once and in order, and those of others do not come", async () => {
  const { project, id, users } = await userWithHistory();
  const { id: other } = await project.signedInUser("bob");
  await addEvents(db, project.id, other, 50);
  const { events } = await exportOf(users, id);
  const numbers = events.slice(1).map(({ data }) => Number(data?.["user_id"]));
  expect(numbers).toEqual(Array.from({ length: MANY }, (_, n) => n + 1));
});

test("every token comes once, however many there are and whatever is issued or goes meanwhile", async () => {
  const { project, id, users } = await userWithHistory();
  const add = (count: number) =>
    db.pool.query(
      `insert into tokens (project_id, id, user_id, issue_time, expire_time)
       select $1, gen_random_uuid(), $2, now(), now() from generate_series(1, $3::int)`,
      [project.id, id, count],
    );
  await add(2_345);
  const { rows } = await db.pool.query<{ id: string }>("select id from tokens where user_id = $1 order by id", [id]);
  const { rest, text } = await begun(users.exportUser({ ref: byId(id) }));
  await db.pool.query("delete from tokens where id = $1", [rows.at(-1)?.id]);
  await add(10);
  await rest();
  const given = (JSON.parse(text()) as { tokens: { id: string }[] }).tokens.map((token) => token.id);
  expect(new Set(given).size).toBe(given.length);
  const kept = rows.slice(0, -1).map((row) => row.id);
  expect(kept.filter((it) => !given.includes(it))).toEqual([]);
});

test("what is put in while an export begins is in it whole or not at all", async () => {
  const { project, users } = await userWithHistory();
  const { id } = await project.signedInUser("busy");
  const writing = async () => {
    for (let n = 1; n <= 40; n++)
      await users.updateUser({ ref: byId(id), user: { name: `n${n}`, email: `n${n}@example.org`, tags: [`n${n}`] } });
  };
  const written = writing();
  const mixed: unknown[] = [];
  for (let n = 0; n < 20; n++) {
    const { user, locators } = (await exportOf(users, id)) as unknown as {
      user: { name?: string; email?: string; tags?: string[] };
      locators: { value: string }[];
    };
    const names = [user.name, user.email?.split("@")[0], user.tags?.[0], locators[0]?.value.split("@")[0]];
    if (new Set(names).size !== 1) mixed.push(names);
  }
  await written;
  expect(mixed).toEqual([]);
});
