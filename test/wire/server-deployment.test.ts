import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { expect, test } from "vitest";
import { MIGRATIONS } from "../../src/db/migrations/list.ts";
import { connectionOptions } from "../../src/db/orm.ts";
import { PresenceService } from "../../src/gen/muster/v1/presence_service_pb.ts";
import { ProjectService } from "../../src/gen/muster/v1/project_service_pb.ts";
import { TokenService } from "../../src/gen/muster/v1/token_service_pb.ts";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { emptyDatabaseAddress, testDatabaseAddress } from "../support/database.ts";
import { reasonOf } from "../support/refusal.ts";
import { RevocationReader } from "../support/revocation-reader.ts";
import { PROTOCOLS, startTestServer } from "../support/start-test-server.ts";
import { openWatch } from "../support/watch.ts";

const address = await testDatabaseAddress();
const emptyAddress = await emptyDatabaseAddress();
/** Servers of one deployment share their secrets and the name they are known by. */
const config = { encryptionKeys: [randomBytes(32)], publicUrl: "https://muster.example" };

/** Two servers on one database. */
const startTwo = () => Promise.all([startTestServer({ address, config }), startTestServer({ address, config })]);

test("a presence that is set on one server reaches those who watch on another, expiry and all", async () => {
  const [one, other] = await startTwo();
  const project = await one.project();
  const { id } = await project.signedInUser("ada");
  const watch = await openWatch(other.transport("gRPC", project.accessKey), [id]);
  await one.client(PresenceService, project.accessKey).setPresence({
    ref: { ref: { case: "id", value: id } },
    presence: { status: "online", ttl: { seconds: 1n }, expiresTo: { status: "away" } },
  });
  for (const status of ["online", "away"])
    expect(await watch.next()).toMatchObject({ case: "update", value: { presences: [{ userId: id, status }] } });
  await one.client(UserService, project.accessKey).deleteUser({ ref: { ref: { case: "id", value: id } } });
  expect(await watch.next()).toMatchObject({ case: "userDeleted", value: { userId: id } });
});

test("a token that one server issued is known to another", async () => {
  const [one, other] = await startTwo();
  const project = await one.project();
  const { id, token } = await project.signedInUser("ada");
  const verified = await other.client(TokenService, project.accessKey).verifyToken({ token });
  expect([verified.active, verified.user?.id]).toEqual([true, id]);
});

test("what is revoked on one server ends streams on another, and is told there to those who watch revocations", async () => {
  const [one, other] = await startTwo();
  const project = await one.project();
  const { id, token } = await project.signedInUser("ada");
  const stream = await openWatch(other.transport("gRPC", token), [id]);
  const readers = PROTOCOLS.map(
    (protocol) => new RevocationReader(other.client(TokenService, project.accessKey, protocol)),
  );
  const all = (kind: string) => readers.every(({ kinds }) => kinds.includes(kind));
  await expect.poll(() => all("snapshotComplete")).toBe(true);
  await one.client(TokenService, token).revokeUserTokens({ ref: { ref: { case: "me", value: true } } });
  expect(await reasonOf(stream.next())).toBe("TOKEN_REVOKED");
  await expect.poll(() => all("revocation")).toBe(true);
  expect(readers.map(({ subjects }) => subjects)).toEqual(PROTOCOLS.map(() => [id]));
  for (const reader of readers) reader.leave();
});

test("an access key that is revoked on one server is refused on another a second later", async () => {
  const [one, other] = await startTwo();
  const project = await one.project();
  const operator = one.client(ProjectService, one.config.operatorKey);
  const { accessKey, key } = await operator.createAccessKey({ projectId: project.id });
  const users = other.client(UserService, accessKey);
  await users.upsertUser({ externalId: "ada" });
  await operator.revokeAccessKey({ projectId: project.id, keyId: key?.id ?? "" });
  await sleep(1_000);
  expect(await reasonOf(users.upsertUser({ externalId: "bob" }))).toBe("CREDENTIAL_INVALID");
  await other.client(UserService, project.accessKey).upsertUser({ externalId: "bob" });
});

test("servers that start at once on an empty database run each migration once, and all serve", async () => {
  const starts = Array.from({ length: 4 }, () => startTestServer({ address: emptyAddress, config }));
  const servers = await Promise.all(starts);
  const project = await servers[0]?.project();
  for (const server of servers) await server.client(UserService, project?.accessKey).upsertUser({ externalId: "ada" });
  const client = new pg.Client(connectionOptions(emptyAddress));
  await client.connect();
  const { rows } = await client.query("select name from migrations order by name");
  await client.end();
  expect(rows).toHaveLength(MIGRATIONS.length);
  expect(new Set(rows.map(({ name }) => name)).size).toBe(MIGRATIONS.length);
});
