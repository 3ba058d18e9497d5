import { open } from "node:fs/promises";

/** Where a file of lines can be gone on with. */
export interface LastLine {
  /** Bytes up to the end of its last whole line. */
  readonly bytes: number;
  /** That line, without its end; undefined: there is none. */
  readonly text: string | undefined;
}

const LF = 0x0a;
const CHUNK = 64 * 1024;

/** Finds the last line of a file that has its end; undefined: there is no such file. */
export async function findLastLine(path: string): Promise<LastLine | undefined> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    let tail = Buffer.alloc(0);
    for (let start = size; start > 0; ) {
      const length = Math.min(CHUNK, start);
      start -= length;
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, start);
      tail = Buffer.concat([buffer, tail]);
      const end = tail.lastIndexOf(LF);
      if (end < 0) continue;
      const before = tail.lastIndexOf(LF, end - 1);
      const isFound = end > 0 && before >= 0;
      if (isFound || start === 0)
        return { bytes: start + end + 1, text: tail.toString("utf8", isFound ? before + 1 : 0, end) };
    }
    return { bytes: 0, text: undefined };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
