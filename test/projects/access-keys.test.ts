import { expect, test } from "vitest";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { reasonOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";

const here = await startApp();
const elsewhere = await startApp({
  db: here.db,
  clock: here.clock,
  config: { encryptionKeys: here.config.encryptionKeys },
});
const { client, clock, db, operator, project } = here;
const projects = operator(ProjectService);

const alice = { externalId: "alice" };

test("a key works at once, and is kept as a digest only", async () => {
  const { id } = await project();
  const { accessKey, key } = await projects.createAccessKey({ projectId: id, displayName: "backend" });
  expect(accessKey).toMatch(new RegExp(`^msk_${key?.id}_[A-Za-z0-9_-]{43}$`));
  expect((await client(UserService, accessKey).upsertUser(alice)).created).toBe(true);
  const dump = await db.pool.query("select to_jsonb(access_keys)::text as row from access_keys");
  for (const { row } of dump.rows as { row: string }[]) expect(row).not.toContain(accessKey.slice(-43));
  expect((await projects.listAccessKeys({ projectId: id })).keys).toContainEqual(key);
});

test("a revoked key is refused at once here, and within a second by every other server", async () => {
  const { id } = await project();
  const { accessKey, key } = await projects.createAccessKey({ projectId: id });
  const hereUsers = client(UserService, accessKey);
  const thereUsers = elsewhere.client(UserService, accessKey);
  await Promise.all([hereUsers.upsertUser(alice), thereUsers.upsertUser(alice)]);
  const { key: revoked } = await projects.revokeAccessKey({ projectId: id, keyId: key?.id ?? "" });
  expect(revoked?.revokeTime).toBeDefined();
  expect(await reasonOf(hereUsers.upsertUser(alice))).toBe("CREDENTIAL_INVALID");
  await clock.advance(999);
  expect(await reasonOf(thereUsers.upsertUser(alice))).toBe("CREDENTIAL_INVALID");
});

test("revoking twice changes nothing, and a key there is not cannot be revoked", async () => {
  const { id } = await project();
  const { key } = await projects.createAccessKey({ projectId: id });
  const revoke = (keyId: string) => projects.revokeAccessKey({ projectId: id, keyId });
  const first = await revoke(key?.id ?? "");
  await clock.advance(5_000);
  expect(await revoke(key?.id ?? "")).toEqual(first);
  expect(await reasonOf(revoke("00000000-0000-7000-8000-000000000000"))).toBe("ACCESS_KEY_NOT_FOUND");
  const other = await project();
  expect(await reasonOf(projects.revokeAccessKey({ projectId: other.id, keyId: key?.id ?? "" }))).toBe(
    "ACCESS_KEY_NOT_FOUND",
  );
});

test("unknown, wrong and malformed credentials are refused alike", async () => {
  const { accessKey } = await project();
  const wrong = `${accessKey.slice(0, -1)}${accessKey.endsWith("A") ? "B" : "A"}`;
  const unknown = `msk_00000000-0000-7000-8000-000000000000_${"A".repeat(43)}`;
  for (const credential of [wrong, unknown, "msk_", "msk_x_y", `${accessKey}x`, "mop_wrong", "anything"])
    expect(await reasonOf(client(UserService, credential).upsertUser(alice))).toBe("CREDENTIAL_INVALID");
});

test("a project nobody made has no keys to list or make", async () => {
  const nobody = "00000000-0000-7000-8000-000000000000";
  expect(await reasonOf(projects.listAccessKeys({ projectId: nobody }))).toBe("PROJECT_NOT_FOUND");
  expect(await reasonOf(projects.createAccessKey({ projectId: nobody }))).toBe("PROJECT_NOT_FOUND");
});

test("a project has at most a hundred keys that are not revoked", async () => {
  const { id } = await project();
  for (let i = 1; i < 100; i++) await projects.createAccessKey({ projectId: id });
  expect(await reasonOf(projects.createAccessKey({ projectId: id }))).toBe("REQUEST_INVALID");
});
