import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { testDatabaseAddress } from "../support/database.ts";
import { runMuster, settingsFor, startMuster, temporaryFolder } from "../support/muster-process.ts";

const production = settingsFor(await testDatabaseAddress());

test("providers are made, looked at, changed and deleted from the command line, and no secret is printed", async () => {
  const { url } = await startMuster(production);
  const folder = await temporaryFolder();
  const fileOf = (name: string, request: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof request === "string" ? request : JSON.stringify(request));
    return path;
  };
  const operator = { ...production, MUSTER_URL: url };
  const ask = async (args: string[], env: Record<string, string>) => {
    const { code, stdout, stderr } = await runMuster([...args, "--json"], env);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).not.toContain("very-secret");
    return JSON.parse(stdout);
  };
  const { id } = await ask(["project", "create", "Shop"], operator);
  const { access_key } = await ask(["key", "create", "backend", "--project", id], operator);
  const env = { ...operator, MUSTER_ACCESS_KEY: access_key };

  const http = {
    url: "https://api.example/check",
    headers: { authorization: "very-secret" },
    response: { subject: "/id" },
  };
  const made = await ask(["provider", "create", fileOf("make.json", { provider: { id: "house", http } })], env);
  expect(made).toMatchObject({ id: "house", http: { method: "POST", headers: { authorization: "***" } } });
  expect(await ask(["provider", "get", "house"], env)).toEqual(made);
  const disabling = fileOf("disable.json", { provider: { id: "house", disabled: true }, updateMask: "disabled" });
  expect((await ask(["provider", "update", disabling], env)).disabled).toBe(true);
  expect(await ask(["provider", "list"], env)).toMatchObject([{ id: "house", disabled: true }]);
  const { stdout: table } = await runMuster(["provider", "list"], env);
  expect(table).toMatch(/^id +kind +display_name +disabled +update_time\nhouse +http +- +true +\d{4}-/);

  const again = await runMuster(["provider", "create", join(folder, "make.json")], env);
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("The project has an identity provider with this id");
  const broken = await runMuster(["provider", "create", fileOf("broken.json", '{"very-secret"')], env);
  expect(broken).toMatchObject({ code: 1, stdout: "" });
  expect(broken.stderr).toContain("broken.json is no JSON");
  expect(broken.stderr).not.toContain("very-secret");

  const misspelt = await runMuster(["provider", "create", fileOf("misspelt.json", { provider: { name: "x" } })], env);
  expect(misspelt.stderr).toContain(
    'misspelt.json is no CreateProviderRequest: cannot decode message muster.v1.Provider from JSON: key "name" is unknown',
  );

  expect(await ask(["provider", "delete", "house"], env)).toEqual({ deleted: "house" });
  expect(await ask(["provider", "list"], env)).toEqual([]);
});
