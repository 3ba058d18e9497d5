import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { UserService } from "../../src/gen/muster/v1/user_service_pb.ts";
import { firstFrameOf } from "../../src/users/avatars/first-frame.ts";
import { refusalOf } from "../support/refusal.ts";
import { startApp } from "../support/start-app.ts";
import {
  animatedPng,
  animatedWebp,
  atSize,
  BLUE,
  colourAt,
  isLike,
  plain,
  pngOf,
  pngWithText,
  RED,
  redAndBlue,
  visit,
} from "./avatar-fixture.ts";

const app = await startApp();
const project = await app.project();
const users = project.system(UserService);
await users.upsertUser({ externalId: "alice" });
const alice = { ref: { case: "externalId", value: "alice" } } as const;

const set = (image: Uint8Array) => users.setAvatar({ ref: alice, image });

/** The images that come of one. */
async function avatarOf(image: Uint8Array, size = 256): Promise<Uint8Array> {
  const { user } = await set(image);
  const { status, body } = await visit(app, atSize(user?.avatarUrl ?? "", size));
  expect(status).toBe(200);
  return body as Uint8Array;
}

/** Why an image is refused, and in which words. */
async function problemOf(image: Uint8Array) {
  const { reason, metadata, fields, error } = await refusalOf(set(image));
  expect([reason, fields, error.code]).toEqual(["AVATAR_INVALID", ["image"], 3]);
  return metadata["problem"];
}

describe("an image becomes WebP, square, of each size, and cut about its centre:", () => {
  test.for(["jpeg", "png", "webp"] as const)("%s", async (format) => {
    const image = await (await redAndBlue(300, 100)).toFormat(format).toBuffer();
    for (const size of [64, 256, 512]) {
      const avatar = await avatarOf(image, size);
      expect(await sharp(avatar).metadata()).toMatchObject({ format: "webp", width: size, height: size });
      expect(isLike(await colourAt(avatar, size / 8, size / 2), RED)).toBe(true);
      expect(isLike(await colourAt(avatar, size - size / 8, size / 2), BLUE)).toBe(true);
    }
  });
});

test("an image is turned upright as its metadata says, and its metadata, its place included, is gone", async () => {
  const image = await (await redAndBlue(200, 100))
    .withExif({ IFD0: { Artist: "Ada" }, IFD3: { GPSLatitudeRef: "N", GPSLatitude: "51/1 30/1 0/1" } })
    .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"><secret/></x:xmpmeta>')
    .withIccProfile("p3")
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  const sent = await sharp(image).metadata();
  expect([sent.orientation, Boolean(sent.exif), Boolean(sent.icc)]).toEqual([6, true, true]);
  const avatar = await avatarOf(image);
  const { exif, xmp, icc, iptc, orientation, space } = await sharp(avatar).metadata();
  expect({ exif, xmp, icc, iptc, orientation, space }).toEqual({ space: "srgb" });
  expect(Buffer.from(avatar).toString("latin1")).not.toMatch(/Exif|XMP|ICCP|Ada|secret/);
  expect(isLike(await colourAt(avatar, 128, 20), RED)).toBe(true);
  expect(isLike(await colourAt(avatar, 128, 236), BLUE)).toBe(true);
});

test("colours of print become those of screens, grey stays grey, and what is transparent stays so", async () => {
  const print = await plain(80, 80).toColourspace("cmyk").jpeg().toBuffer();
  expect((await sharp(print).metadata()).space).toBe("cmyk");
  expect((await sharp(await avatarOf(print)).metadata()).space).toBe("srgb");
  const { r, b } = await colourAt(await avatarOf(print), 128, 128);
  expect(r).toBeGreaterThan(2 * b);
  const grey = await plain(80, 80, { r: 128, g: 128, b: 128 }).toColourspace("b-w").png().toBuffer();
  expect(isLike(await colourAt(await avatarOf(grey), 128, 128), { r: 128, g: 128, b: 128 })).toBe(true);
  const deep = await plain(80, 80, BLUE).toColourspace("rgb16").png().toBuffer();
  expect((await sharp(deep).metadata()).depth).toBe("ushort");
  expect(isLike(await colourAt(await avatarOf(deep), 128, 128), BLUE)).toBe(true);
  const clear = await plain(80, 80).ensureAlpha(0).png().toBuffer();
  expect((await sharp(await avatarOf(clear)).metadata()).hasAlpha).toBe(true);
});

test("of an animation the first frame is taken", async () => {
  const webp = await animatedWebp();
  expect((await sharp(webp).metadata()).pages).toBe(2);
  for (const image of [webp, animatedPng(40)]) {
    const avatar = await avatarOf(image);
    expect(isLike(await colourAt(avatar, 128, 128), RED)).toBe(true);
    expect((await sharp(avatar).metadata()).pages).toBeUndefined();
  }
});

test("a WebP reaches the decoder without all that follows its first frame, however much it is", async () => {
  const webp = await animatedWebp();
  const at = webp.indexOf("ANMF");
  const start = webp.subarray(0, at);
  const frame = webp.subarray(at, at + 8 + webp.readUInt32LE(at + 4));
  const count = Math.floor((5 * 1024 * 1024 - at) / frame.length);
  const frames = Buffer.concat([start, ...Array<Buffer>(count).fill(frame)]);
  const chunks = Buffer.concat([start, frame, Buffer.alloc(4 * 1024 * 1024, "JUNK\0\0\0\0")]);
  for (const image of [frames, chunks]) {
    image.writeUInt32LE(image.length - 8, 4);
    expect(firstFrameOf(image)).toHaveLength(start.length + frame.length);
    expect(isLike(await colourAt(await avatarOf(image), 128, 128), RED)).toBe(true);
  }
});

test("a text that unpacks to many times an image's size is left alone", async () => {
  expect(isLike(await colourAt(await avatarOf(pngWithText(100_000_000)), 128, 128), RED)).toBe(true);
});

test("a WebP with transparency, a profile and a direction is taken whole", async () => {
  const half = await (await redAndBlue(200, 100)).removeAlpha().ensureAlpha(0.5).png().toBuffer();
  const image = await sharp(half).withIccProfile("p3").withMetadata({ orientation: 6 }).webp().toBuffer();
  const avatar = await avatarOf(image);
  expect((await sharp(avatar).metadata()).hasAlpha).toBe(true);
  expect(isLike(await colourAt(avatar, 128, 20), RED)).toBe(true);
  expect(isLike(await colourAt(avatar, 128, 236), BLUE)).toBe(true);
});

test("what hides behind or in an image is gone: the pixels are encoded anew", async () => {
  const jpeg = await plain(80, 80).jpeg().toBuffer();
  const page = Buffer.from("<html><script>alert(1)</script></html>");
  const comment = Buffer.concat([Buffer.from([0xff, 0xfe, 0, page.length + 2]), page]);
  const png = await plain(80, 80).png().toBuffer();
  const polyglots = [
    Buffer.concat([jpeg, page]),
    Buffer.concat([jpeg.subarray(0, 2), comment, jpeg.subarray(2)]),
    Buffer.concat([png, Buffer.from("PK\x03\x04"), page]),
  ];
  for (const image of polyglots)
    expect(Buffer.from(await avatarOf(image)).toString("latin1")).not.toMatch(/script|html|PK\x03\x04/);
});

test("24 megapixels are taken, one pixel more is not, however little it weighs", async () => {
  expect(await avatarOf(await plain(6_000, 4_000).png().toBuffer())).toBeDefined();
  expect(await problemOf(pngOf(24_000_001, 1))).toBe("PIXELS");
  expect(await problemOf(pngOf(60_000, 60_000))).toBe("PIXELS");
  expect(await problemOf(await plain(6_001, 4_000).jpeg().toBuffer())).toBe("PIXELS");
  expect(await problemOf(await plain(4_001, 6_000).webp().toBuffer())).toBe("PIXELS");
});

test("an image that is cut off or broken is refused", async () => {
  for (const format of ["jpeg", "png", "webp"] as const) {
    const image = await (await redAndBlue(400, 400)).toFormat(format).toBuffer();
    for (const part of [16, image.length / 2, image.length * 0.9])
      expect([format, await problemOf(image.subarray(0, part))]).toEqual([format, "DAMAGED"]);
  }
  expect(await problemOf(pngOf(200, 200))).toBe("DAMAGED");
  expect(await problemOf(pngOf(0, 0))).toBe("DAMAGED");
});

describe("what is no JPEG, PNG or WebP is refused:", () => {
  const box = (brand: string) => Buffer.from(`\0\0\0\x18ftyp${brand}\0\0\0\0mif1${brand}`, "latin1");
  const images: [string, () => Promise<Buffer> | Buffer][] = [
    ["SVG", () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script/></svg>')],
    ["GIF", () => plain(40, 40).gif().toBuffer()],
    ["TIFF", () => plain(40, 40).tiff().toBuffer()],
    ["AVIF", () => plain(40, 40).avif().toBuffer()],
    ["HEIC", () => box("heic")],
    ["PDF", () => Buffer.from("%PDF-1.7\n1 0 obj <<>> endobj")],
    ["a WAV in the container of a WebP", () => Buffer.from("RIFF\x24\0\0\0WAVEfmt ", "latin1")],
    ["text", () => Buffer.from("no image at all")],
    ["a byte", () => Buffer.from([0xff])],
  ];
  test.for(images)("%s", async ([, image]) => {
    expect(await problemOf(await image())).toBe("FORMAT");
  });
});

test("an image is 1 byte to 5 MiB", async () => {
  const jpeg = await plain(80, 80).jpeg().toBuffer();
  const most = Buffer.concat([jpeg, Buffer.alloc(5 * 1024 * 1024 - jpeg.length)]);
  expect(await avatarOf(most)).toBeDefined();
  for (const image of [new Uint8Array(), Buffer.concat([most, Buffer.alloc(1)])]) {
    const { reason, fields } = await refusalOf(set(image));
    expect([reason, fields]).toEqual(["REQUEST_INVALID", ["image"]]);
  }
});
