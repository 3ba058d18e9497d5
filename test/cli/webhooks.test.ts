import { expect, test } from "vitest";
import { testDatabaseAddress } from "../support/database.ts";
import { runMuster, settingsFor, startMuster } from "../support/muster-process.ts";

const production = settingsFor(await testDatabaseAddress());

async function ask(args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await runMuster([...args, "--json"], env);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** The settings by which a new project of a new server is called. */
async function newProject(): Promise<Record<string, string>> {
  const operator = { ...production, MUSTER_URL: (await startMuster(production)).url };
  const { id } = await ask(["project", "create", "Shop"], operator);
  const { access_key } = await ask(["key", "create", "backend", "--project", id], operator);
  return { ...operator, MUSTER_ACCESS_KEY: access_key };
}

test("webhooks are made, listed, changed, given other secrets and deleted from the command line", async () => {
  const env = await newProject();
  const webhook = (...args: string[]) => ask(["webhook", ...args], env);
  const { secret, ...made } = await webhook("create", "https://receiver.example", "--event-type", "user.*", "token.*");
  expect(secret).toMatch(/^whsec_/);
  expect(made).toMatchObject({ url: "https://receiver.example", event_types: ["user.*", "token.*"], disabled: false });
  const { id } = made;
  expect(await webhook("list")).toEqual([made]);

  const settings = ["--description", "CRM", "--payload", "thin", "--max-concurrency", "2", "--default-event-types"];
  const changed = await webhook("update", id, "--to", "https://other.example", ...settings);
  expect(changed).toMatchObject({
    ...{ id, url: "https://other.example", description: "CRM", payload: "WEBHOOK_PAYLOAD_THIN" },
    ...{ max_concurrency: 2, event_types: [] },
  });
  expect(await webhook("disable", id)).toMatchObject({ disabled: true, description: "CRM" });
  const { stdout: table } = await runMuster(["webhook", "list"], env);
  expect(table).toMatch(
    /^id +url +event_types +disabled .*\n\S+ +https:\/\/other\.example +- +true +WEBHOOK_DISABLED_/,
  );
  expect(await webhook("enable", id)).toMatchObject({ disabled: false });

  const rotated = await webhook("rotate-secret", id, "--previous-ttl", "1h");
  expect(rotated.secret).toMatch(/^whsec_/);
  expect(rotated.secret).not.toBe(secret);
  expect(Date.parse(rotated.previous_secret_expire_time) - Date.parse(rotated.update_time)).toBe(3_600_000);
  expect((await webhook("rotate-secret", id, "--revoke-previous")).previous_secret_expire_time).toBeUndefined();
  expect(await webhook("delete", id)).toEqual({ deleted: id });
  expect(await webhook("list")).toEqual([]);

  const refused = await runMuster(["webhook", "create", "http://receiver.example"], env);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toContain("webhook.url");
  expect((await runMuster(["webhook", "create", "https://a.example", "--payload", "x"], env)).code).toBe(2);
});

test("deliveries are listed, and events sent again, from the command line", async () => {
  const env = await newProject();
  const webhook = (...args: string[]) => ask(["webhook", ...args], env);
  const { id } = await webhook("create", "https://receiver.example");
  expect(await webhook("deliveries", id, "--state", "failed")).toEqual([]);
  const range = ["--from", "2026-01-01T00:00:00Z", "--event-type", "project.*"];
  expect(await webhook("redeliver", id, ...range)).toEqual({ delivery_count: expect.any(Number) });
  expect((await runMuster(["webhook", "redeliver", id, "--from", "soon"], env)).code).toBe(2);
  const unknown = await runMuster(["webhook", "redeliver", id, "--event", "00000000-0000-7000-8000-000000000000"], env);
  expect(unknown).toMatchObject({ code: 1, stdout: "" });
  expect(unknown.stderr).toContain("No such event");
});
