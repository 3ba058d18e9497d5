import { type FileHandle, open } from "node:fs/promises";
import { StartError } from "../../start-error.ts";
import { CommandEnd } from "../command-end.ts";
import type { Output } from "../host.ts";

/** Takes text, no faster than it can be written. */
export interface TextOutput {
  /** Bytes that the output holds. */
  readonly bytes: number;
  write(text: string): Promise<void>;
}

/** A file that text is appended to. Disposing closes it, with everything in it on the disk. */
export interface FileOutput extends TextOutput, AsyncDisposable {}

/** How a shell tells of a program that wrote to a pipe whose reader had left. */
const READER_LEFT = 141;

/** Writes to a stream of the process. Ends the command quietly where the reader has left. */
export function streamOutput(stream: Output): TextOutput {
  let bytes = 0;
  // What a write fails for is told to the write.
  stream.on("error", () => {});
  return {
    get bytes() {
      return bytes;
    },
    write: (text) =>
      new Promise((resolve, reject) => {
        stream.write(text, (error) => {
          bytes += Buffer.byteLength(text);
          if (!error) resolve();
          else reject((error as NodeJS.ErrnoException).code === "EPIPE" ? new CommandEnd(READER_LEFT) : error);
        });
      }),
  };
}

/** What to do with what is in the file. `keepBytes`: of what is there this much stays; without it there has to be no file. */
export interface FileOptions {
  readonly keepBytes?: number | undefined;
}

/** Opens a file that only this user may read. Throws StartError where it cannot be written, or is there and not to be touched. */
export async function fileOutput(path: string, { keepBytes }: FileOptions): Promise<FileOutput> {
  const file = await opened(path, keepBytes);
  let bytes = keepBytes ?? 0;
  return {
    get bytes() {
      return bytes;
    },
    async write(text) {
      bytes += (await file.writev([Buffer.from(text)])).bytesWritten;
    },
    async [Symbol.asyncDispose]() {
      await file.sync().catch(ignoreUnsyncable);
      await file.close();
    },
  };
}

async function opened(path: string, keepBytes: number | undefined): Promise<FileHandle> {
  try {
    const file = await open(path, keepBytes === undefined ? "ax" : "a", 0o600);
    if (keepBytes !== undefined && (await file.stat()).isFile()) await file.truncate(keepBytes);
    return file;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StartError(`Cannot write ${path}: ${code === "EEXIST" ? "there is such a file" : code}`);
  }
}

/** What is no regular file, such as /dev/null, has nothing to be brought to a disk. */
function ignoreUnsyncable(error: NodeJS.ErrnoException): void {
  if (error.code !== "EINVAL" && error.code !== "ENOTSUP") throw error;
}
