import type { Micros } from "./chain.ts";

/** Version 1: the version, the project's id in 16 bytes, the watermark in 8. */
const VERSION = 1;
const LENGTH = 25;
/** What commits late or comes late may be this much older than the watermark. */
const SLACK: Micros = 5_000_000;

/** Says that a reader of the project has been told of all that happened up to `time`. Opaque to those who keep it. */
export function createResumeToken(projectId: string, time: Micros): Uint8Array {
  const token = Buffer.alloc(LENGTH);
  token.writeUInt8(VERSION, 0);
  token.write(projectId.replaceAll("-", ""), 1, "hex");
  token.writeBigInt64BE(BigInt(time - SLACK), 17);
  return token;
}

/** Up to when the reader that has `token` has been told; undefined: it is not a token of this project. */
export function readResumeToken(projectId: string, token: Uint8Array): Micros | undefined {
  const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength);
  if (bytes.length !== LENGTH || bytes.readUInt8(0) !== VERSION) return undefined;
  if (bytes.toString("hex", 1, 17) !== projectId.replaceAll("-", "")) return undefined;
  return Number(bytes.readBigInt64BE(17));
}
