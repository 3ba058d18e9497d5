import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { runMuster, settingsFor, startMuster } from "../support/muster-process.ts";
import { reach } from "../support/start-test-server.ts";

const production = settingsFor(await testDatabaseAddress());
const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

test("events are listed page by page, and watched until it is interrupted, from the command line", async () => {
  const { url } = await startMuster(production);
  const operator = reach(url, production["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await operator.project();
  const env = { ...production, MUSTER_URL: url, MUSTER_ACCESS_KEY: project.accessKey };
  const users = operator.client(UserService, project.accessKey);
  for (const externalId of ["ada", "bob"]) await users.upsertUser({ externalId });
  const list = async (...args: string[]) => {
    const { code, stdout, stderr } = await runMuster(["events", "list", "--json", ...args], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout) as {
      events: { type: string; data: { user: { external_id: string } } }[];
      cursor: string;
    };
  };
  const created = () => list("--type", "user.created");
  await expect.poll(async () => (await created()).events.length, { timeout: 20_000 }).toBe(2);
  const first = await list("--type", "user.created", "--limit", "1");
  expect(first.events.map(({ data }) => data.user.external_id)).toEqual(["ada"]);
  const rest = await list("--type", "user.created", "--cursor", first.cursor);
  expect(rest.events.map(({ data }) => data.user.external_id)).toEqual(["bob"]);
  const table = await runMuster(["events", "list", "--type", "user.*"], env);
  expect(table.stdout).toMatch(/^create_time +type +user_id +origin +id\n\S+ +user\.created +\S+ +- +\S+\n/);
  expect(table.stderr).toMatch(/^--cursor \S+\n$/);

  const watching = spawn(process.execPath, [MAIN, "events", "watch", "--json", "--cursor", first.cursor], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = createInterface({ input: watching.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? "{}") as { event: { data: { user: object } } };
  expect((await next()).event.data.user).toMatchObject({ external_id: "bob" });
  await users.upsertUser({ externalId: "eve" });
  expect((await next()).event.data.user).toMatchObject({ external_id: "eve" });
  watching.kill("SIGINT");
  expect(await once(watching, "exit")).toEqual([130, null]);

  const refused = await runMuster(["events", "watch", "--cursor", "none"], env);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
});

test("a watch whose server goes says so once, and goes on where it was with the next server", async () => {
  const server = await startMuster(production);
  const operator = reach(server.url, production["MUSTER_OPERATOR_KEY"] ?? "");
  const { accessKey } = await operator.project();
  const env = { ...production, MUSTER_URL: server.url, MUSTER_ACCESS_KEY: accessKey };
  await operator.client(UserService, accessKey).upsertUser({ externalId: "ada" });
  const args = ["events", "watch", "--json", "--from-oldest", "--type", "user.created"];
  const watching = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let told = "";
  watching.stderr.setEncoding("utf8").on("data", (text: string) => {
    told += text;
  });
  const lines = createInterface({ input: watching.stdout })[Symbol.asyncIterator]();
  const next = async () => JSON.parse((await lines.next()).value ?? "{}") as { event: { data: { user: object } } };
  expect((await next()).event.data.user).toMatchObject({ external_id: "ada" });
  server.process.kill("SIGTERM");
  await server.outcome;
  const again = await startMuster({ ...production, MUSTER_PORT: new URL(server.url).port });
  const after = reach(again.url, production["MUSTER_OPERATOR_KEY"] ?? "");
  await after.client(UserService, accessKey).upsertUser({ externalId: "eve" });
  expect((await next()).event.data.user).toMatchObject({ external_id: "eve" });
  expect(told).toBe("The stream broke off. It goes on where it was once the server answers.\n");
  watching.kill("SIGINT");
  expect(await once(watching, "exit")).toEqual([130, null]);
});
