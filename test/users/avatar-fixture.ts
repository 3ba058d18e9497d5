import { crc32, deflateSync } from "node:zlib";
import sharp from "sharp";
import type { PlainResponse } from "../../src/rpc/plain-http.ts";
import { plainRequest } from "../support/plain-request.ts";
import type { TestApp } from "../support/start-app.ts";

export const RED = { r: 255, g: 0, b: 0 };
export const BLUE = { r: 0, g: 0, b: 255 };
export type Colour = typeof RED;

/** An image of one colour, to be encoded. */
export const plain = (width: number, height: number, background: Colour = RED) =>
  sharp({ create: { width, height, channels: 3, background } });

/** An image whose left half is red and whose right half is blue. */
export async function redAndBlue(width: number, height: number) {
  const blue = await plain(width / 2, height, BLUE)
    .png()
    .toBuffer();
  return sharp(
    await plain(width, height)
      .composite([{ input: blue, left: width / 2, top: 0 }])
      .png()
      .toBuffer(),
  );
}

/** One of a dozen images that stay different when they are encoded. */
export const someImage = (number: number) =>
  plain(80, 60, { r: 20 * number, g: 255 - 20 * number, b: 0 })
    .jpeg()
    .toBuffer();

/** A chunk of a PNG. */
function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

const words = (...values: number[]) =>
  Buffer.concat(values.map((value) => Buffer.from(new Uint32Array([value]).buffer).swap32()));
const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const headerOf = (width: number, height: number) =>
  chunk("IHDR", Buffer.concat([words(width, height), Buffer.from([8, 2, 0, 0, 0])]));
const rowsOf = (width: number, height: number, { r, g, b }: Colour) =>
  deflateSync(
    Buffer.concat(Array.from({ length: height }, () => Buffer.from([0, ...Array(width).fill([r, g, b]).flat()]))),
  );

/** A PNG that says it has so many pixels, and holds next to none. */
export const pngOf = (width: number, height: number): Buffer =>
  Buffer.concat([SIGNATURE, headerOf(width, height), chunk("IDAT", rowsOf(8, 8, RED)), chunk("IEND", Buffer.alloc(0))]);

/** An animated PNG of two frames, red and blue. */
export function animatedPng(side: number): Buffer {
  const control = (sequence: number) =>
    chunk("fcTL", Buffer.concat([words(sequence, side, side, 0, 0), Buffer.from([0, 1, 0, 1, 0, 0])]));
  return Buffer.concat([
    SIGNATURE,
    headerOf(side, side),
    chunk("acTL", words(2, 0)),
    control(0),
    chunk("IDAT", rowsOf(side, side, RED)),
    control(1),
    chunk("fdAT", Buffer.concat([words(2), rowsOf(side, side, BLUE)])),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** An animated WebP of two frames, red and blue. */
export async function animatedWebp(): Promise<Buffer> {
  const frames = await Promise.all([plain(40, 40), plain(40, 40, BLUE)].map((frame) => frame.png().toBuffer()));
  return sharp(frames, { join: { animated: true } })
    .webp({ loop: 0, delay: [50, 50] })
    .toBuffer();
}

/** A red PNG with a text that is so long when it is unpacked, in bytes. */
export function pngWithText(bytes: number): Buffer {
  const text = Buffer.concat([Buffer.from("text\0\0", "latin1"), deflateSync(Buffer.alloc(bytes))]);
  const image = [chunk("IDAT", rowsOf(40, 40, RED)), chunk("IEND", Buffer.alloc(0))];
  return Buffer.concat([SIGNATURE, headerOf(40, 40), chunk("zTXt", text), ...image]);
}

/** The colour of one pixel of an image. */
export async function colourAt(image: Uint8Array, left: number, top: number): Promise<Colour> {
  const pixel = await sharp(image).removeAlpha().extract({ left, top, width: 1, height: 1 }).raw().toBuffer();
  return { r: pixel[0] ?? -1, g: pixel[1] ?? -1, b: pixel[2] ?? -1 };
}

/** Whether two colours are the same but for what lossy encoding does to them. */
export const isLike = (one: Colour, other: Colour): boolean =>
  Math.max(Math.abs(one.r - other.r), Math.abs(one.g - other.g), Math.abs(one.b - other.b)) < 30;

/** What the app answers at a URL, without a port. */
export async function visit(
  { app }: TestApp,
  url: string,
  headers: Record<string, string> = {},
): Promise<PlainResponse> {
  const { pathname } = new URL(url);
  for (const route of app.httpRoutes) {
    const match = pathname.match(route.path);
    if (match) return route.handle(plainRequest(pathname, match, headers));
  }
  return { status: 404 };
}

/** The address of another size. */
export const atSize = (url: string, size: number): string => url.replace("/256.webp", `/${size}.webp`);
