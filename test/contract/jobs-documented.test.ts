import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { plainRequest } from "../support/plain-request.ts";
import { startApp } from "../support/start-app.ts";

const PAGE = readFileSync(new URL("../../docs/deployment.md", import.meta.url), "utf8");
/** A bucket that nobody asks for anything. */
const avatarBucket = {
  ...{ endpoint: "http://127.0.0.1:9", bucket: "none", region: "none", prefix: "" },
  ...{ accessKeyId: "none", secretAccessKey: "none" },
};

test("the guide on deployment names every scheduled job and no other, and each of them succeeds", async () => {
  const { clock, db, metrics } = await startApp({ config: { avatarBucket } });
  const named = Array.from(PAGE.matchAll(/^\| `([a-z-]+)` \|/gm), ([, name]) => String(name)).toSorted();
  const succeeded = async () => {
    await clock.advance(1_000);
    const { rows } = await db.pool.query("select name from jobs where last_success_time is not null order by name");
    return rows.map(({ name }) => name);
  };
  await expect.poll(succeeded, { interval: 20 }).toEqual(named);
  const { rows } = await db.pool.query("select name from jobs where last_success_time is null");
  expect(rows).toEqual([]);
  const { body } = await metrics.route.handle(plainRequest("/metrics", ["/metrics"]));
  const told = String(body).matchAll(/^muster_job_last_success_timestamp_seconds\{job="([a-z-]+)"\} ([1-9][\d.]*)$/gm);
  expect(Array.from(told, ([, name]) => String(name)).toSorted()).toEqual(named);
});

test.each([
  ["guests whose time is over are deleted", "guests"],
  ["tokens that are over are swept", "expired-tokens"],
  ["what is kept against replay is swept", "expired-external-jwts"],
  ["events go with their retention", "old-events"],
  ["signing keys are retired", "gone-signing-keys"],
])("%s by the job %s", (_, name) => {
  expect(PAGE).toContain(`| \`${name}\` |`);
});
