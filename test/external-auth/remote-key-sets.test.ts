import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomUUID, sign, verify } from "node:crypto";
import { afterAll, beforeEach, expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import { MusterError } from "../../src/errors.ts";
import { createRemoteKeySets } from "../../src/external-auth/remote-key-sets.ts";
import { createLogger } from "../../src/logger.ts";
import { createFakeClock } from "../support/fake-clock.ts";
import { startOutsideServer } from "../support/outside-server.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const server = await startOutsideServer();
const clock = createFakeClock();
const egress = createEgress({ allow: [server.host], clock });
const sets = createRemoteKeySets({ egress, clock, logger: createLogger("silent") });
afterAll(() => egress[Symbol.dispose]());

/** A URL that nothing is known of, and how often it was asked. */
let url = "";
const asked = () => server.requests.length;
beforeEach(() => {
  url = `${server.url}/${randomUUID()}`;
  server.requests.length = 0;
});

/** What the URL answers from now on. */
const publish = (document: unknown, headers: Record<string, string> = {}) => {
  server.answer = (_, response) =>
    response.writeHead(200, headers).end(isRaw(document) ? document : JSON.stringify(document));
};
const isRaw = (document: unknown) => typeof document === "string" || Buffer.isBuffer(document);
const publishStatus = (status: number) => {
  server.answer = (_, response) => response.writeHead(status, { location: server.url }).end("{}");
};
const publishKeys = (...kids: string[]) => publish({ keys: kids.map((kid) => jwk(kid)) });

function breakOff(): void {
  server.answer = (request, response) => {
    response.writeHead(200, { "content-length": 100 }).write("{", () => request.socket.destroy());
  };
}

const pairs = new Map<string, ReturnType<typeof newPair>>();
const newPair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
/** The public key that goes by this id. */
function jwk(kid: string) {
  const pair = pairs.get(kid) ?? newPair();
  pairs.set(kid, pair);
  return { ...pair.publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "ES256" };
}

const kids = async (keyId?: string) => (await sets.keySetAt(url).keysFor(keyId)).map((key) => key.keyId);
const refusal = (keyId?: string) => refusalOf(sets.keySetAt(url).keysFor(keyId));
/** The reason that something is refused for, and after how many seconds to come again. */
async function refusalOf(work: Promise<unknown>) {
  const error = await work.catch((it: unknown) => it);
  if (!(error instanceof MusterError)) throw new Error(`not refused, but: ${String(error)}`);
  return { reason: error.reason, retryAfter: (error.extra.retryAfterMs ?? 0) / SECOND };
}

test("a key is found by its kid, and verifies what its other half signed; without a kid all keys are given", async () => {
  publishKeys("one", "two");
  const [key] = await sets.keySetAt(url).keysFor("two");
  if (!key) throw new Error("there is no such key");
  const signature = sign("sha256", Buffer.from("text"), pairs.get("two")?.privateKey ?? "");
  expect(verify("sha256", Buffer.from("text"), key.key, signature)).toBe(true);
  expect(key.algorithms).toEqual(["ES256"]);
  expect(await kids()).toEqual(["one", "two"]);
  expect(asked()).toBe(1);
});

test("a hundred tokens with kids that there are not have the URL asked once in 30 seconds, one after another or at a time", async () => {
  publishKeys("known");
  const storm = () => Promise.all(Array.from({ length: 100 }, () => kids(randomUUID())));
  expect(new Set((await storm()).flat())).toEqual(new Set());
  expect(asked()).toBe(1);
  await clock.advance(29 * SECOND);
  for (let i = 0; i < 100; i++) await kids(randomUUID());
  expect(asked()).toBe(1);
  await clock.advance(SECOND);
  await storm();
  expect(asked()).toBe(2);
  expect(await kids("known")).toEqual(["known"]);
});

test("keys that were rotated are found by their kid once 30 seconds have passed; those that are gone are taken no more", async () => {
  publishKeys("old");
  expect(await kids("old")).toEqual(["old"]);
  publishKeys("new");
  expect(await kids("new")).toEqual([]);
  await clock.advance(30 * SECOND);
  expect(await kids("new")).toEqual(["new"]);
  expect(await kids("old")).toEqual([]);
});

test.each([
  ["no header", {}, 10 * MINUTE],
  ["a lifetime", { "cache-control": "public, max-age=3600, must-revalidate" }, HOUR],
  ["a lifetime in part spent", { "cache-control": "max-age=3600", age: "1200" }, 40 * MINUTE],
  ["too short a lifetime", { "cache-control": "max-age=1" }, 5 * MINUTE],
  ["a lifetime that is over", { "cache-control": "max-age=60", age: "600" }, 5 * MINUTE],
  ["too long a lifetime", { "cache-control": "max-age=31536000" }, 24 * HOUR],
  ["no store", { "cache-control": "no-store, max-age=3600" }, 5 * MINUTE],
  ["nonsense", { "cache-control": "max-age=soon" }, 10 * MINUTE],
])("an answer with %s is kept for as long as it should be", async (_, headers, keptMs) => {
  publish({ keys: [jwk("a")] }, headers);
  await kids("a");
  await clock.advance(keptMs - 1);
  await kids("a");
  expect(asked()).toBe(1);
  await clock.advance(1);
  await kids("a");
  expect(asked()).toBe(2);
});

test.each([
  ["is down", () => publishStatus(503)],
  ["is gone", () => publishStatus(404)],
  ["redirects", () => publishStatus(302)],
  ["answers rubbish", () => publish("<html>")],
  ["answers another document", () => publish({ error: "moved" })],
  ["answers a list", () => publish([jwk("b")])],
  ["says a thing twice", () => publish('{"keys":[],"keys":[]}')],
  ["is nested without end", () => publish(`${"[".repeat(10_000)}${"]".repeat(10_000)}`)],
  ["answers too much", () => publish({ keys: [jwk("b")], more: "x".repeat(65_536) })],
  ["answers what is no UTF-8", () => publish(Buffer.from('{"keys":[],"é":1}', "latin1"))],
  ["breaks off", breakOff],
])("while a URL %s, the last good keys serve for another day, and it is asked every 30 seconds", async (_, fail) => {
  publishKeys("good");
  await kids("good");
  fail();
  await clock.advance(10 * MINUTE);
  for (let i = 0; i < 10; i++) expect(await kids("good")).toEqual(["good"]);
  expect(asked()).toBe(2);
  expect(await refusal("other")).toMatchObject({ reason: "PROVIDER_UNAVAILABLE" });
  await clock.advance(30 * SECOND);
  expect(await kids("good")).toEqual(["good"]);
  expect(asked()).toBe(3);
  await clock.advance(24 * HOUR - 31 * SECOND);
  expect(await kids("good")).toEqual(["good"]);
  await clock.advance(2 * SECOND);
  expect(await refusal("good")).toMatchObject({ reason: "PROVIDER_UNAVAILABLE", retryAfter: 28 });
  publishKeys("better");
  await clock.advance(30 * SECOND);
  expect(await kids("better")).toEqual(["better"]);
});

test("a URL that never answered is asked every 30 seconds and no more, and the refusal says when to come again", async () => {
  publishStatus(500);
  const refusals = await Promise.all(Array.from({ length: 20 }, () => refusal("a")));
  expect(new Set(refusals.map(({ reason }) => reason))).toEqual(new Set(["PROVIDER_UNAVAILABLE"]));
  expect(asked()).toBe(1);
  await clock.advance(20 * SECOND);
  expect(await refusal()).toMatchObject({ reason: "PROVIDER_UNAVAILABLE", retryAfter: 10 });
  expect(asked()).toBe(1);
  publishKeys("a");
  await clock.advance(10 * SECOND);
  expect(await kids("a")).toEqual(["a"]);
});

test("a URL that does not answer is given up after five seconds; who has left does not wait for it", async () => {
  server.answer = () => {};
  const waiting = refusal("a");
  const leaving = new AbortController();
  const left = sets
    .keySetAt(url)
    .keysFor("a", leaving.signal)
    .catch((error: unknown) => error);
  leaving.abort("left");
  expect(await left).toBe("left");
  expect(
    await sets
      .keySetAt(url)
      .keysFor("a", AbortSignal.abort("gone"))
      .catch((error: unknown) => error),
  ).toBe("gone");
  await expect.poll(asked).toBe(1);
  await clock.advance(5 * SECOND);
  expect(await waiting).toMatchObject({ reason: "PROVIDER_UNAVAILABLE" });
});

test("keys that may not be used are left out, and the others serve", async () => {
  const { privateKey, publicKey } = newPair();
  const publicPart = publicKey.export({ format: "jwk" });
  const weak = generateKeyPairSync("rsa", { modulusLength: 1_024 }).publicKey.export({ format: "jwk" });
  const keys = [
    { ...privateKey.export({ format: "jwk" }), kid: "private" },
    { kty: "oct", k: "c2VjcmV0", kid: "symmetric", alg: "HS256" },
    { ...publicPart, kid: "encryption", use: "enc" },
    { ...publicPart, kid: "wrapping", key_ops: ["wrapKey"] },
    { ...publicPart, kid: "off the curve", y: publicPart.x },
    { ...publicPart, kid: "misnamed", alg: "RS256" },
    { ...weak, kid: "weak" },
    { kty: "AKP", kid: "of another time" },
    ...[null, "key", 7],
    jwk("good"),
    { ...publicPart },
  ];
  publish({ keys });
  expect(await kids()).toEqual(["good", undefined]);
  for (const { kid } of keys.slice(0, 8) as { kid: string }[]) expect(await kids(kid)).toEqual([]);
});

test("a kid of two keys is refused, and one that is there twice is one", async () => {
  publish({ keys: [jwk("a"), { ...jwk("b"), kid: "a" }, jwk("c"), jwk("c"), { ...jwk("c"), use: "enc" }] });
  expect(await kids()).toEqual(["c"]);
  expect(await kids("a")).toEqual([]);
});

test("sixty-four keys are looked at", async () => {
  publishKeys(...Array.from({ length: 66 }, (_, i) => `k${i}`));
  expect(await kids()).toHaveLength(64);
  expect(await kids("k64")).toEqual([]);
});

test("a key stays the same object for as long as its set has it", async () => {
  publishKeys("a", "b");
  const [before] = await sets.keySetAt(url).keysFor("a");
  publishKeys("c", "a");
  await clock.advance(10 * MINUTE);
  const [after] = await sets.keySetAt(url).keysFor("a");
  expect(after).toBe(before);
  expect(asked()).toBe(2);
});

test("certificates by their kid, as Firebase has them, are keys", async () => {
  const [one, two] = [certificate(), certificate()];
  publish({ one, two, "not a certificate": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" });
  expect(await kids()).toEqual(["one", "two"]);
  const [key] = await sets.keySetAt(url).keysFor("two");
  expect(key?.algorithms).toContain("RS256");
});

/** Of an RSA key, signed by itself. */
function certificate(): string {
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "/dev/null"];
  return execFileSync("openssl", made, { stdio: ["ignore", "pipe", "ignore"] }).toString();
}

test("for a registration the URL is asked at once, and told what is wrong with it", async () => {
  publishKeys("a");
  await kids("a");
  publishKeys("b");
  expect((await sets.readKeySet(url)).map(({ keyId }) => keyId)).toEqual(["b"]);
  expect(await kids("b")).toEqual(["b"]);
  const faultOf = () => sets.readKeySet(url).catch((error: Error) => `${error.name}: the URL ${error.message}`);
  publish({ keys: [] });
  expect(await faultOf()).toBe("UnusableDocument: the URL has no key that can be used");
  publish({ keys: [{ kty: "oct", kid: "s", k: "AA" }] });
  expect(await faultOf()).toBe("UnusableDocument: the URL has no key that can be used: s is a symmetric one (HMAC)");
  publishStatus(302);
  expect(await faultOf()).toBe("UnusableDocument: the URL answers 302");
  publish("no");
  expect(await faultOf()).toBe("UnusableDocument: the URL does not answer a JSON object");
  url = url.replace("127.0.0.1", "localhost");
  expect(await faultOf()).toContain("UnusableDocument: the URL may not be called");
});

test("a registration of a URL that is away may be tried again at once", async () => {
  publishStatus(503);
  expect(await refusalOf(sets.readKeySet(url))).toMatchObject({ reason: "PROVIDER_UNAVAILABLE", retryAfter: 5 });
  publishKeys("a");
  expect(await sets.readKeySet(url)).toHaveLength(1);
});

test("of more than a thousand URLs, the one longest unused is forgotten", async () => {
  publishKeys("a");
  await kids("a");
  const first = url;
  for (let i = 0; i < 1_000; i++) {
    url = `${server.url}/${i}`;
    await kids("a");
  }
  url = first;
  await kids("a");
  expect(asked()).toBe(1_002);
});
