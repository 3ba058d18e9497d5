import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../presence/presence-fixture.ts";
import { proveGroup, startServerGroup, untilTold } from "../presence/server-group.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { runMuster, settingsFor } from "../support/muster-process.ts";
import { reasonOf } from "../support/refusal.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "../wire/edge-certificate.ts";
import { startRedisCluster } from "./support/redis-cluster.ts";
import { freePort, startRedis } from "./support/redis-server.ts";

const settings = settingsFor(await testDatabaseAddress());

test("three servers on one Redis: what is set on one is read on all, and told to the watchers of each", async () => {
  await using redis = await startRedis();
  expect(await proveGroup(await startServerGroup(3, { ...settings, REDIS_URL: redis.url }))).toEqual([]);
  expect(Number(await redis.send("DBSIZE"))).toBe(2);
});

test("two servers on a cluster do the same", async () => {
  await using cluster = await startRedisCluster();
  const group = await startServerGroup(2, { ...settings, REDIS_CLUSTER_URLS: cluster.urls });
  expect(await proveGroup(group)).toEqual([]);
});

test("with Redis killed and back, the servers serve all else, and then presences again", async () => {
  await using redis = await startRedis();
  const group = await startServerGroup(2, { ...settings, REDIS_URL: redis.url });
  const id = await group.user();
  await group.set(id, "online", 0);
  const watch = await group.watch([id], 1);
  await redis.kill();
  await eventually(async () => (await reasonOf(group.set(id, "away", 0))) === "STORAGE_UNAVAILABLE");
  expect(await reasonOf(group.get(id, 1))).toBe("STORAGE_UNAVAILABLE");
  for (const { url } of group.servers) expect((await fetch(`${url}/readyz`)).status).toBe(200);
  const metrics = await (await fetch(`${group.servers[1]?.url}/metrics`)).text();
  expect(Number(/^muster_presence_stale_seconds (\S+)$/m.exec(metrics)?.[1])).toBeGreaterThan(0);
  await group.deleteUser(await group.user());
  await redis.start();
  await eventually(() => group.set(id, "back", 0).then(Boolean, () => false));
  expect((await untilTold(watch, id, "back")).at(-1)).toBe("back");
});

test("Redis is spoken to over TLS, by user and password, and only with a certificate that is trusted", async () => {
  const folder = await mkdtemp(join(tmpdir(), "muster-tls-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const [certificate, key] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  await writeFile(certificate, CERTIFICATE);
  await writeFile(key, CERTIFICATE_KEY);
  const port = await freePort();
  const files = ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate];
  await using redis = await startRedis("--tls-port", String(port), ...files, "--tls-auth-clients", "no");
  await redis.send("ACL", "SETUSER", "muster", "on", ">s3:cret", "~*", "&*", "+@all");
  const REDIS_URL = `rediss://muster:s3%3Acret@localhost:${port}/2`;
  const trusting = await startServerGroup(1, { ...settings, REDIS_URL, NODE_EXTRA_CA_CERTS: certificate });
  const id = await trusting.user();
  await trusting.set(id, "online");
  expect(await trusting.get(id)).toBe("online");
  expect(String(await redis.send("INFO", "keyspace"))).toMatch(/^db2:keys=1/m);
  const wary = await startServerGroup(1, { ...settings, REDIS_URL });
  expect(await reasonOf(wary.get(await wary.user()))).toBe("STORAGE_UNAVAILABLE");
});

test("a URL that is none ends the start, and its password is not shown", async () => {
  const env = { ...settings, REDIS_URL: "redis://muster:s3cret@", REDIS_CLUSTER_URLS: "redis://a/7" };
  const { code, stderr } = await runMuster(["serve"], env);
  expect(code).toBe(1);
  expect(stderr).toContain("REDIS_URL must be a URL such as");
  expect(stderr).toContain("REDIS_CLUSTER_URLS must not name a database");
  expect(stderr).not.toContain("s3cret");
});
