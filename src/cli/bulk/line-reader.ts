import { createHash } from "node:crypto";

/** One line of a file. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** What stands before the line's end, LF or CRLF; undefined: more than a line may have. */
  readonly bytes: Uint8Array | undefined;
}

/** A place between two lines. */
export interface Position {
  /** Bytes before it. */
  readonly offset: number;
  /** Lines before it. */
  readonly line: number;
  /** SHA-256, in hex, of all bytes before it: what a file is recognised by. */
  readonly digest: string;
}

/** Reads lines, however the source cuts its bytes. Of a line that is too long no more than it may have is kept. */
export interface LineReader {
  /** The lines that become whole with each piece of the source. Each piece is iterated before the next one is asked for. */
  readonly pieces: AsyncIterable<Iterable<Line>>;
  /** How far behind the beginning the line that was given last ends. */
  readonly offset: number;
  /** Where the line that was given last ends. */
  position(): Position;
}

const LF = 0x0a;
const CR = 0x0d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Reads `source`; `maxBytes`: of a line, its end included. A byte order mark in front is no part of the first line. */
export function createLineReader(source: AsyncIterable<Uint8Array>, maxBytes: number): LineReader {
  const hash = createHash("sha256");
  /** The digest of what is before a line that is too long, while it is being passed over. */
  let before: ReturnType<typeof hash.copy> | undefined;
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  let offset = 0;
  let number = 0;

  function begin(part: Uint8Array): void {
    begunBytes += part.length;
    if (begunBytes <= maxBytes) return void begun.push(part);
    before ??= hash.copy();
    for (const it of [...begun, part]) hash.update(it);
    begun = [];
  }

  function end(part: Uint8Array): Line {
    begin(part);
    const whole = begun.length === 1 && begun[0] ? begun[0] : Buffer.concat(begun);
    const bytes = before ? undefined : contentOf(whole, number === 0);
    hash.update(whole);
    offset += begunBytes;
    [before, begun, begunBytes] = [undefined, [], 0];
    return { number: ++number, bytes };
  }

  function* linesOf(piece: Uint8Array): Generator<Line> {
    let start = 0;
    for (let at = piece.indexOf(LF); at >= 0; at = piece.indexOf(LF, start)) {
      const part = piece.subarray(start, at + 1);
      start = at + 1;
      yield end(part);
    }
    if (start < piece.length) begin(piece.subarray(start));
  }

  async function* pieces(): AsyncGenerator<Iterable<Line>> {
    for await (const piece of source) yield linesOf(piece);
    if (begunBytes > 0) yield [end(new Uint8Array())];
  }

  return {
    pieces: pieces(),
    get offset() {
      return offset;
    },
    position: () => ({ offset, line: number, digest: (before ?? hash).copy().digest("hex") }),
  };
}

function contentOf(whole: Uint8Array, isFirst: boolean): Uint8Array {
  let end = whole.length;
  if (whole[end - 1] === LF) end--;
  if (whole[end - 1] === CR) end--;
  const start = isFirst && BYTE_ORDER_MARK.every((byte, i) => whole[i] === byte) ? BYTE_ORDER_MARK.length : 0;
  return whole.subarray(start, end);
}
