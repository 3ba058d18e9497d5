import { randomUUID } from "node:crypto";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { connectionOptions } from "../../src/db/orm.ts";
import {
  BEGINNING,
  currentCursor,
  type RevocationCursor,
  readRevocations,
} from "../../src/revocations/read-revocations.ts";
import { testDatabase } from "../support/database.ts";

const db = await testDatabase();
const projectId = randomUUID();
const NOW = Date.parse("2026-01-01T00:00:00Z");

const INSERT = `insert into revocations (project_id, token_id, cause, forget_after_time, create_time)
  values ($1, $2, 'TOKEN_REVOKED', $3, now())`;

async function connect(): Promise<pg.Client> {
  const client = new pg.Client(connectionOptions(db.address));
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** Revokes a token; gives its id. */
async function revoke(client: Pick<pg.Client, "query">, its = projectId, forgetAfter = NOW + 60_000) {
  const id = randomUUID();
  await client.query(INSERT, [its, id, new Date(forgetAfter)]);
  return id;
}

/** Reads until there is no more: the tokens in order, and where to go on. */
async function readAll(cursor: RevocationCursor, limit = 100, its?: string) {
  const tokens: string[] = [];
  for (let next = cursor; ; ) {
    const scope = its === undefined ? {} : { projectId: its };
    const page = await readRevocations(db, scope, next, { limit, nowMs: NOW });
    tokens.push(...page.revocations.map(({ subject }) => ("tokenId" in subject ? subject.tokenId : "")));
    next = page.next;
    if (!page.more) return { tokens, next };
  }
}

test("what a slow transaction revokes is neither skipped nor waited for, and each is read once", async () => {
  const [slow, slower] = [await connect(), await connect()];
  let cursor = await currentCursor(db);
  await slow.query("begin");
  const first = await revoke(slow);
  await slower.query("begin");
  const second = await revoke(slower);
  for (let round = 0; round < 3; round++) {
    const quick = await revoke(db.pool);
    const { tokens, next } = await readAll(cursor);
    expect(tokens).toEqual([quick]);
    cursor = next;
  }
  await slower.query("commit");
  const afterOne = await readAll(cursor);
  expect(afterOne.tokens).toEqual([second]);
  await slow.query("commit");
  const afterBoth = await readAll(afterOne.next);
  expect(afterBoth.tokens).toEqual([first]);
  expect((await readAll(afterBoth.next)).tokens).toEqual([]);
});

test("what is revoked between the pages of a reading is read once, wherever it stands in the order", async () => {
  const slow = await connect();
  await slow.query("begin");
  const late = await revoke(slow);
  const cursor = await currentCursor(db);
  const ids: string[] = [];
  for (let n = 0; n < 5; n++) ids.push(await revoke(db.pool));
  const page = await readRevocations(db, {}, cursor, { limit: 2, nowMs: NOW });
  expect(page.more).toBe(true);
  await slow.query("commit");
  const after = await revoke(db.pool);
  const { tokens, next } = await readAll(page.next, 2);
  expect(tokens).toEqual([...ids.slice(2), late, after]);
  expect((await readAll(next, 2)).tokens).toEqual([]);
});

test("each revocation gives the cursor of one who has read so far", async () => {
  const cursor = await currentCursor(db);
  const ids = [await revoke(db.pool), await revoke(db.pool), await revoke(db.pool)];
  const { revocations } = await readRevocations(db, {}, cursor, { limit: 10, nowMs: NOW });
  ids.push(await revoke(db.pool));
  for (const [index, { cursor: its }] of revocations.entries())
    expect((await readAll(its)).tokens).toEqual(ids.slice(index + 1));
});

test("nothing of ten writers that commit in any order is lost or doubled by a reader that never waits", async () => {
  let cursor = await currentCursor(db);
  const ids: string[] = [];
  const seen: string[] = [];
  const writers = Array.from({ length: 10 }, async () => {
    const client = await connect();
    for (let n = 0; n < 20; n++) {
      await client.query("begin");
      ids.push(await revoke(client));
      await client.query("select pg_sleep(random() * 0.01)");
      await client.query("commit");
    }
  });
  let writing = true;
  const written = Promise.all(writers).then(() => (writing = false));
  while (writing) {
    const { tokens, next } = await readAll(cursor, 3);
    seen.push(...tokens);
    cursor = next;
  }
  await written;
  seen.push(...(await readAll(cursor)).tokens);
  expect(seen.toSorted()).toEqual(ids.toSorted());
});

test("those of one project are read alone, and what is to be forgotten is not read", async () => {
  const other = randomUUID();
  const cursor = await currentCursor(db);
  const mine = await revoke(db.pool, other);
  await revoke(db.pool);
  await revoke(db.pool, other, NOW);
  expect((await readAll(cursor, 100, other)).tokens).toEqual([mine]);
});

test("on a server that has forgotten its latest transactions it is read from the beginning", async () => {
  const ahead = { seen: "900000000:900000000:" };
  const id = await revoke(db.pool);
  const { next, more } = await readRevocations(db, {}, ahead, { limit: 10, nowMs: NOW });
  expect([next, more]).toEqual([BEGINNING, true]);
  expect((await readAll(next)).tokens).toContain(id);
});
