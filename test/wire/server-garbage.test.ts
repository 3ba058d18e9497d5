import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { settingsFor, startMuster } from "../support/muster-process.ts";
import { PROTOCOLS, reach } from "../support/start-test-server.ts";
import { dial } from "./edge-server.ts";

const address = await testDatabaseAddress();

/** Bytes that look random and are the same in every run. */
function noise(seed: number, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 64) }, (_, index) =>
    createHash("sha512").update(`${seed} ${index}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const POST = "POST /muster.v1.UserService/UpsertUser HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\n";

/** What stands before the noise, so that each layer gets its share. */
const BEGINNINGS = [
  Buffer.alloc(0),
  Buffer.from([22, 3, 1, 2, 0, 1]),
  Buffer.from(PREFACE.slice(0, 12)),
  Buffer.from(PREFACE),
  Buffer.concat([Buffer.from(PREFACE), SETTINGS]),
  // A HEADERS frame of 64 bytes that opens stream 1.
  Buffer.concat([Buffer.from(PREFACE), SETTINGS, Buffer.from([0, 0, 64, 1, 4, 0, 0, 0, 1])]),
  Buffer.from("GET / HTTP/1.1\r\n"),
  Buffer.from(`${POST}content-length: 300\r\n\r\n`),
  Buffer.from(`${POST}transfer-encoding: chunked\r\n\r\n`),
  Buffer.from(`${POST}\r\n\r\n`),
];

test("a server outlives two hundred connections of garbage, and serves others all the while", async () => {
  const settings: Record<string, string> = { ...settingsFor(address), MUSTER_LOG_LEVEL: "error" };
  const muster = await startMuster(settings);
  const server = reach(muster.url, settings["MUSTER_OPERATOR_KEY"] ?? "");
  const project = await server.project();
  const port = Number(new URL(muster.url).port);
  let over = false;
  const serves = PROTOCOLS.map(async (protocol) => {
    const users = server.client(UserService, project.accessKey, protocol);
    let calls = 0;
    for (; !over || calls < 10; calls++) await users.upsertUser({ externalId: protocol });
    return calls;
  });
  const sockets = Array.from({ length: 200 }, (_, seed) => {
    const socket = dial(port);
    socket.write(BEGINNINGS[seed % BEGINNINGS.length] ?? "");
    socket.write(noise(seed, 1 + ((seed * 37) % 4_000)));
    if (seed % 3 === 0) socket.end();
    else if (seed % 7 === 0) socket.once("connect", () => socket.resetAndDestroy());
    return socket;
  });
  over = true;
  for (const calls of await Promise.all(serves)) expect(calls).toBeGreaterThanOrEqual(10);
  for (const socket of sockets) socket.destroy();
  await Promise.all(sockets.map((socket) => socket.gone));
  const connections = async () => {
    const metrics = await (await fetch(`${muster.url}/metrics`)).text();
    return Number(/^muster_connections (\d+)$/m.exec(metrics)?.[1]);
  };
  await expect.poll(connections).toBeLessThan(20);
  expect(await (await fetch(`${muster.url}/healthz`)).text()).toBe("alive\n");
  muster.process.kill("SIGTERM");
  expect(await muster.outcome).toMatchObject({ code: 0, stderr: "" });
});
