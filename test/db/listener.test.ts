import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import { createListener, LISTENER_NAME, type Listener } from "../../src/db/listener.ts";
import { createNotifier } from "../../src/db/notifier.ts";
import { createLogger } from "../../src/logger.ts";
import { testDatabase } from "../support/database.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startPostgresProxy } from "../support/postgres-proxy.ts";

const db = await testDatabase();
const logger = createLogger("silent");

const notify = (channel: string, payload: string) => db.pool.query("select pg_notify($1, $2)", [channel, payload]);

const killListeners = () =>
  db.pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()",
    [LISTENER_NAME],
  );

async function subscribe(listener: Listener, channel: string) {
  const heard: string[] = [];
  const subscription = await listener.listen(channel, {
    onNotification: (payload) => heard.push(payload),
    onLost: () => heard.push("lost"),
    onGap: () => heard.push("gap"),
  });
  return { heard, subscription };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}

test("what is notified after the acknowledgement arrives, in order, at those who listen to the channel", async () => {
  await using listener = createListener(db.address, systemClock, logger);
  const [first, second] = await Promise.all([subscribe(listener, "one"), subscribe(listener, 'Two\'s "own"')]);
  const again = await subscribe(listener, "one");
  for (let n = 0; n < 20; n++) await notify("one", `${n}`);
  await notify('Two\'s "own"', "other");
  await until(() => second.heard.length === 1);
  const all = Array.from({ length: 20 }, (_, n) => `${n}`);
  expect(first.heard).toEqual(all);
  expect(again.heard).toEqual(all);
});

test("who stops listening hears nothing more, the others do", async () => {
  await using listener = createListener(db.address, systemClock, logger);
  const [leaving, staying] = [await subscribe(listener, "c"), await subscribe(listener, "c")];
  const last = await subscribe(listener, "d");
  leaving.subscription[Symbol.dispose]();
  last.subscription[Symbol.dispose]();
  await notify("d", "unheard");
  await notify("c", "heard");
  await until(() => staying.heard.length === 1);
  expect(leaving.heard).toEqual([]);
  expect(last.heard).toEqual([]);
});

test("a lost connection is told, replaced, and the gap told", async () => {
  await using listener = createListener(db.address, systemClock, logger);
  const { heard } = await subscribe(listener, "c");
  for (let round = 1; round <= 3; round++) {
    await killListeners();
    await until(() => heard.filter((it) => it === "gap").length === round);
    await notify("c", `after ${round}`);
    await until(() => heard.includes(`after ${round}`));
  }
  expect(heard).toEqual([1, 2, 3].flatMap((round) => ["lost", "gap", `after ${round}`]));
});

test("a connection that carries nothing any more is given up within 5 s", async () => {
  await using proxy = await startPostgresProxy(db.address);
  const clock = createFakeClock();
  await using listener = createListener(proxy.address, clock, logger);
  const { heard } = await subscribe(listener, "c");
  proxy.silence();
  await clock.advance(5_000);
  expect(heard).toEqual(["lost"]);
  await clock.advance(1_000);
  await until(() => heard.includes("gap"));
  await notify("c", "again");
  await until(() => heard.includes("again"));
});

test("hints are sent together, each once, and what a disposed notifier was given has been sent", async () => {
  await using listener = createListener(db.address, systemClock, logger);
  const { heard } = await subscribe(listener, "hints");
  const notifier = createNotifier(db, systemClock, logger);
  for (let n = 0; n < 300; n++) notifier.notify("hints", `${n % 100}`);
  await notifier[Symbol.asyncDispose]();
  await until(() => heard.length >= 100);
  expect(new Set(heard).size).toBe(100);
  expect(heard.length).toBeLessThanOrEqual(101);
});
