import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { createLineReader, type Position } from "../../src/cli/bulk/line-reader.ts";

const MAX = 12;

async function read(pieces: Uint8Array[]) {
  const reader = createLineReader(
    (async function* () {
      yield* pieces;
    })(),
    MAX,
  );
  const lines: (string | undefined)[] = [];
  const positions: Position[] = [];
  for await (const piece of reader.pieces)
    for (const { bytes, number } of piece) {
      lines.push(bytes && Buffer.from(bytes).toString());
      positions.push(reader.position());
      expect(number).toBe(lines.length);
    }
  return { lines, positions };
}

const text = "\uFEFFone\r\n\n tw\u00F6 \n\r\nmuch too long for a line\nlast one";
const bytes = Buffer.from(text);

test("lines end with LF or CRLF, and the last one with the file; a byte order mark is no part of the first", async () => {
  const { lines, positions } = await read([bytes]);
  expect(lines).toEqual(["one", "", " tw\u00F6 ", "", undefined, "last one"]);
  const ends = [...bytes.entries()].flatMap(([i, byte]) => (byte === 0x0a ? [i + 1] : []));
  expect(positions.map(({ offset }) => offset)).toEqual([...ends, bytes.length]);
});

test("wherever the source cuts its bytes, lines, positions and digests are the same", async () => {
  const whole = await read([bytes]);
  for (const { offset, digest } of whole.positions)
    expect(digest).toBe(createHash("sha256").update(bytes.subarray(0, offset)).digest("hex"));
  for (let first = 0; first <= bytes.length; first++)
    for (let second = first; second <= bytes.length; second++)
      expect(await read([bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)])).toEqual(
        whole,
      );
  expect(await read([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
});

test("an empty file has no line, and an end of line alone is an empty one", async () => {
  expect((await read([])).lines).toEqual([]);
  expect((await read([Buffer.from("\n")])).lines).toEqual([""]);
  expect((await read([Buffer.from("\uFEFF")])).lines).toEqual([""]);
});
