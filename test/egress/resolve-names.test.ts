import { createSocket } from "node:dgram";
import { isIP } from "node:net";
import { afterAll, expect, test } from "vitest";
import { createEgress } from "../../src/egress/create-egress.ts";
import { createNameResolver } from "../../src/egress/public-lookup.ts";

const A = 1;
const CNAME = 5;
const AAAA = 28;

/** What each name has, and of which type; a name that is not there is unknown, one of `undefined` is not answered. */
const records: Record<string, Record<number, string[]> | undefined> = {
  "both.example": { [A]: ["93.184.216.34", "93.184.216.35"], [AAAA]: ["2606:4700::1111"] },
  "four.example": { [A]: ["93.184.216.34"] },
  "six.example": { [AAAA]: ["2606:4700::1111"] },
  "alias.example": { [CNAME]: ["four.example"], [A]: ["93.184.216.34"] },
  "none.example": {},
  "private.example": { [A]: ["93.184.216.34"], [AAAA]: ["::1"] },
  "silent.example": undefined,
};
const server = await startNameServer();
const resolve = createNameResolver([server]);

test.each([
  ["both.example", ["93.184.216.34", "93.184.216.35", "2606:4700::1111"]],
  ["four.example", ["93.184.216.34"]],
  ["six.example", ["2606:4700::1111"]],
  ["alias.example", ["93.184.216.34"]],
])("%s has all of its addresses, of either kind", async (name, addresses) => {
  expect(await resolve(name)).toEqual(addresses);
});

test("a name without addresses, and one that there is not, cannot be reached", async () => {
  const egress = createEgress({ allow: [], resolve });
  for (const name of ["none.example", "unknown.example"])
    await expect(egress.request(`https://${name}/`)).rejects.toMatchObject({ kind: "UNREACHABLE" });
});

test("a name with one private address among others is not called", async () => {
  const egress = createEgress({ allow: [], resolve });
  await expect(egress.request("https://private.example/")).rejects.toMatchObject({ kind: "FORBIDDEN" });
});

test("a name whose servers do not answer is given up with the request", async () => {
  const egress = createEgress({ allow: [], resolve });
  const request = egress.request("https://silent.example/", { timeoutMs: 100 });
  await expect(request).rejects.toMatchObject({ kind: "TIMEOUT" });
});

/** Answers by UDP what stands in `records`; gives where it is. */
async function startNameServer(): Promise<string> {
  const socket = createSocket("udp4");
  socket.on("message", (query, { port, address }) => {
    const { name, type, question } = questionOf(query);
    if (name in records && !records[name]) return;
    socket.send(answerOf(query, question, records[name], type), port, address);
  });
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  afterAll(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

function questionOf(query: Buffer): { name: string; type: number; question: Buffer } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return {
    name: labels.join(".").toLowerCase(),
    type: query.readUInt16BE(at + 1),
    question: query.subarray(12, at + 5),
  };
}

function answerOf(query: Buffer, question: Buffer, found: Record<number, string[]> | undefined, type: number): Buffer {
  const values = [CNAME, type].flatMap((each) => (found?.[each] ?? []).map((value) => ({ each, value })));
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(found ? 0x8180 : 0x8183, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(values.length, 6);
  // An alias stands before what it is an alias of.
  const alias = found?.[CNAME]?.[0];
  const answers = values.map(({ each, value }) => {
    const owner = alias && each !== CNAME ? nameBytes(alias) : Buffer.of(0xc0, 12);
    const data = isIP(value) ? addressBytes(value) : nameBytes(value);
    const fixed = Buffer.alloc(10);
    fixed.writeUInt16BE(each, 0);
    fixed.writeUInt16BE(1, 2);
    fixed.writeUInt16BE(data.length, 8);
    return Buffer.concat([owner, fixed, data]);
  });
  return Buffer.concat([header, question, ...answers]);
}

const nameBytes = (name: string): Buffer =>
  Buffer.concat([...name.split("."), ""].map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])));

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail = ""] = address.split("::");
  const groups = (part: string) => (part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16)));
  const [first, last] = [groups(head), groups(tail)];
  const all = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
