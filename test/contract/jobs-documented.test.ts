import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { startApp } from "../support/start-app.ts";

const PAGE = readFileSync(new URL("../../docs/deployment.md", import.meta.url), "utf8");
/** A bucket that nobody asks for anything. */
const avatarBucket = {
  ...{ endpoint: "http://127.0.0.1:9", bucket: "none", region: "none", prefix: "" },
  ...{ accessKeyId: "none", secretAccessKey: "none" },
};

test("the guide on deployment names every scheduled job and no other, and each of them succeeds", async () => {
  const { clock, db } = await startApp({ config: { avatarBucket } });
  const named = Array.from(PAGE.matchAll(/^\| `([a-z-]+)` \|/gm), ([, name]) => String(name)).toSorted();
  const succeeded = async () => {
    await clock.advance(1_000);
    const { rows } = await db.pool.query("select name from jobs where last_success_time is not null order by name");
    return rows.map(({ name }) => name);
  };
  await expect.poll(succeeded, { interval: 20 }).toEqual(named);
  const { rows } = await db.pool.query("select name from jobs where last_success_time is null");
  expect(rows).toEqual([]);
});
