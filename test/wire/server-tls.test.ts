import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { testDatabaseAddress } from "../support/database.ts";
import { temporaryFolder } from "../support/muster-process.ts";
import { reasonOf } from "../support/refusal.ts";
import { PROTOCOLS, reach, startTestServer } from "../support/start-test-server.ts";
import { openWatch } from "../support/watch.ts";
import { CERTIFICATE, CERTIFICATE_KEY } from "./edge-certificate.ts";

const address = await testDatabaseAddress();

/** A server whose certificate lies in files. */
async function startSecureServer() {
  const folder = await temporaryFolder();
  const tls = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };
  await writeFile(tls.certFile, CERTIFICATE);
  await writeFile(tls.keyFile, CERTIFICATE_KEY, { mode: 0o600 });
  return startTestServer({ address, config: { tls }, ca: CERTIFICATE });
}

/** What the port agrees to speak with a client that can do `offered`. */
function negotiated(url: string, offered: string[]): Promise<string | false | null> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), ca: CERTIFICATE, ALPNProtocols: offered });
    socket.on("error", reject).on("secureConnect", () => {
      resolve(socket.alpnProtocol);
      socket.destroy();
    });
  });
}

test("HTTP/2 is agreed on where the client can speak it, and HTTP/1.1 otherwise", async () => {
  const { url } = await startSecureServer();
  expect(url).toMatch(/^https:/);
  expect(await negotiated(url, ["h2", "http/1.1"])).toBe("h2");
  expect(await negotiated(url, ["http/1.1"])).toBe("http/1.1");
  expect(await negotiated(url, [])).toBe(false);
});

test("every protocol is served over TLS, and to those who speak without it on the same port", async () => {
  const server = await startSecureServer();
  const project = await server.project();
  const plain = reach(server.url.replace("https:", "http:"), server.config.operatorKey);
  for (const protocol of PROTOCOLS)
    for (const clients of [server, plain]) {
      const users = clients.client(UserService, project.accessKey, protocol);
      expect((await users.upsertUser({ externalId: "ada" })).user?.externalId).toBe("ada");
    }
});

test("a client that does not trust the certificate is not served", async () => {
  const server = await startSecureServer();
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow("fetch failed");
  const users = reach(server.url, server.config.operatorKey).client(UserService);
  await expect(users.getUser({})).rejects.toThrow(/self-signed certificate/);
});

test("draining over TLS says goodbye on every stream, and ends", async () => {
  const server = await startSecureServer();
  const project = await server.project();
  const { user } = await project.system(UserService).upsertUser({ externalId: "ada" });
  const watches = await Promise.all(
    PROTOCOLS.map((protocol) => openWatch(server.transport(protocol, project.accessKey), [user?.id ?? ""])),
  );
  const drained = server.server.drain();
  for (const watch of watches) {
    expect((await watch.next()).case).toBe("goodbye");
    expect(await reasonOf(watch.next())).toBe("SHUTTING_DOWN");
  }
  await drained;
});
