import { expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import { createPublicLookup } from "../../src/egress/public-lookup.ts";
import { startOutsideServer } from "../support/outside-server.ts";

const secure = await startOutsideServer(undefined, true);
const plain = await startOutsideServer();
const egress = createEgress({ allow: ["127.0.0.1:1", "192.0.2.1:443"], resolve: async () => ["127.0.0.1"] });

/** What a request is refused with. */
const kindOf = (url: string, client = egress) =>
  client.request(url).then(
    ({ status }) => status,
    ({ kind }) => kind,
  );

const LOOPBACK = ["127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "2130706433"];
const LOOPBACK_DISGUISED = ["127.0.0.1.", "①②⑦.⓪.⓪.①", "127%2e0%2e0%2e1", "[::1]", "[0:0::1]", "[::ffff:127.0.0.1]"];
const LOOPBACK_NAMES = ["localhost", "LOCALHOST", "localhost.", "a.localhost", "a.localhost.", "intranet", "intranet."];
const IN_IPV6 = ["[::127.0.0.1]", "[::ffff:0:7f00:1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]"];
const LOCAL_IPV6 = [
  "[::]",
  "[fe80::1]",
  "[fec0::1]",
  "[fd00:ec2::254]",
  "[ff02::1]",
  "[2001:db8::1]",
  "[2001::1]",
  "[100::1]",
];
const PRIVATE = [
  "10.0.0.1",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "100.64.0.1",
  "169.254.169.254",
  "0xa9fea9fe",
];
const SPECIAL = [
  "0.0.0.0",
  "0",
  "192.0.0.8",
  "192.88.99.1",
  "198.18.0.1",
  "203.0.113.1",
  "224.0.0.1",
  "240.0.0.1",
  "255.255.255.255",
];

test.each([
  ...[...LOOPBACK, ...LOOPBACK_DISGUISED, ...LOOPBACK_NAMES, ...IN_IPV6],
  ...[...LOCAL_IPV6, ...PRIVATE, ...SPECIAL],
])("https://%s is not called, however it is spelt", async (host) => {
  expect(await kindOf(`https://${host}:${secure.port}/latest/meta-data`)).toBe("FORBIDDEN");
  expect(secure.connections()).toBe(0);
});

test.each([
  ["http to a public host", "http://93.184.216.34/"],
  ["another scheme", "ftp://93.184.216.34/"],
  ["a file", "file:///etc/passwd"],
  ["data", "data:text/plain,a"],
  ["credentials", "https://ada:secret@93.184.216.34/"],
  ["a name alone", "https://ada@93.184.216.34/"],
  ["credentials at an allowed host", "http://ada:secret@127.0.0.1:1/"],
  ["what is no URL", "93.184.216.34"],
  ["a port that is none", "https://93.184.216.34:70000/"],
  ["a zone", "https://[fe80::1%25eth0]/"],
])("%s is not called", async (_, url) => {
  expect(await kindOf(url)).toBe("FORBIDDEN");
});

test("a host of the allowlist may be private and plain http, at its port and no other", async () => {
  const allowing = createEgress({ allow: [plain.host] });
  expect(await kindOf(plain.url, allowing)).toBe(200);
  expect(await kindOf(`http://0x7f.1:${plain.port}`, allowing)).toBe(200);
  expect(await kindOf(`https://127.0.0.1:${secure.port}`, allowing)).toBe("FORBIDDEN");
  expect(await kindOf(`http://localhost:${plain.port}`, allowing)).toBe("FORBIDDEN");
  expect(await kindOf("http://127.0.0.1/", allowing)).toBe("FORBIDDEN");
  expect(plain.requests).toHaveLength(2);
  expect(secure.connections()).toBe(0);
});

test.each([
  ["127.0.0.1"],
  ["::1"],
  ["::ffff:127.0.0.1"],
  ["93.184.216.34", "10.0.0.1"],
  ["2606:4700::1111", "fe80::1"],
])("a name that has the address %s %s is not called", async (...addresses) => {
  const client = createEgress({ allow: [], resolve: async () => addresses });
  expect(await kindOf(`https://rebound.example:${secure.port}/`, client)).toBe("FORBIDDEN");
  expect(secure.connections()).toBe(0);
});

test("each connection is made to the addresses that were checked for it, and to no later answer", async () => {
  const answers = [["93.184.216.34", "2606:4700::1111"], ["127.0.0.1"]];
  const lookup = createPublicLookup(async () => answers.shift() ?? []);
  const resolved = () =>
    new Promise((resolve) => lookup("changing.example", { all: true }, (error, found) => resolve(error ?? found)));
  expect(await resolved()).toEqual([
    { address: "93.184.216.34", family: 4 },
    { address: "2606:4700::1111", family: 6 },
  ]);
  expect(await resolved()).toMatchObject({ kind: "FORBIDDEN" });
  expect(answers).toEqual([]);
});

test.each([
  "Host",
  "content-length",
  "Transfer-Encoding",
  "connection",
  "Expect",
  "upgrade",
  "Accept-Encoding",
  "Proxy-Authorization",
])("the header %s is the client's own", async (name) => {
  const before = plain.connections();
  const sent = createEgress({ allow: [plain.host] }).request(plain.url, { headers: { [name]: "a" } });
  await expect(sent).rejects.toMatchObject({ kind: "FORBIDDEN" });
  expect(plain.connections()).toBe(before);
});

test("a header that would end another one is not sent", async () => {
  const client = createEgress({ allow: [plain.host] });
  for (const headers of [{ "x-a": "b\r\nhost: c" }, { "x\r\na": "b" }, { "": "a" }])
    await expect(client.request(plain.url, { headers })).rejects.toMatchObject({ kind: "FORBIDDEN" });
});

test("what is refused names neither path nor credentials", async () => {
  const error = await egress.request("https://ada:secret@10.0.0.1/path?key=secret").catch((it: unknown) => it);
  expect(String(error)).toBe("EgressError: 10.0.0.1:443 may not be called: its URL holds credentials");
});
