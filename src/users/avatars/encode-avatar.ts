import sharp, { type Sharp, type SharpOptions } from "sharp";
import { AVATAR_SIZES, type AvatarImages, type ImageProblem, MOST_PIXELS } from "./avatar-images.ts";
import { firstFrameOf } from "./first-frame.ts";

/** An image that cannot be an avatar. */
export class UnusableImage extends Error {
  override readonly name = "UnusableImage";
  readonly problem: ImageProblem;

  constructor(problem: ImageProblem, cause?: unknown) {
    super(problem, { cause });
    this.problem = problem;
  }
}

/** How long libvips may work at one step of one image, in seconds. */
const DECODE_SECONDS = 10;
const QUALITY = 80;
const LARGEST = Math.max(...AVATAR_SIZES);

/** What is not whole is refused; what decoders merely wonder about is not. */
const READING: SharpOptions = { failOn: "error", limitInputPixels: MOST_PIXELS, sequentialRead: true };

/**
 * Leaves libvips three decoders, that of JPEG, PNG and WebP, one thread and no cache. It holds for the whole process: libvips
 * knows no narrower scope.
 */
export function restrictDecoders(): void {
  sharp.block({ operation: ["VipsForeignLoad"] });
  sharp.unblock({
    operation: ["VipsForeignLoadJpegBuffer", "VipsForeignLoadPngBuffer", "VipsForeignLoadWebpBuffer"],
  });
  sharp.concurrency(1);
  sharp.cache(false);
}

/**
 * Decodes an image once, turns it upright as its metadata says, cuts the square about its centre, and gives each size as WebP in
 * sRGB without metadata. Throws UnusableImage.
 */
export async function encodeAvatar(sent: Uint8Array): Promise<AvatarImages> {
  const image = firstFrameOf(sent);
  // The header alone is read for this, so that no pixel of too many is.
  const { width, height } = await orFail(() => sharp(image, { ...READING, limitInputPixels: false }).metadata());
  if (width * height > MOST_PIXELS) throw new UnusableImage("PIXELS");
  const { data, info } = await orFail(() =>
    sharp(image, READING)
      .timeout({ seconds: DECODE_SECONDS })
      .autoOrient()
      .resize(LARGEST, LARGEST, { fit: "cover" })
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true }),
  );
  const raw = { width: info.width, height: info.height, channels: info.channels };
  const square = sharp(data, { raw });
  const encoded = AVATAR_SIZES.map(async (size) => [size, await webp(square.clone().resize(size, size))] as const);
  return Object.fromEntries(await Promise.all(encoded)) as AvatarImages;
}

const webp = (image: Sharp): Promise<Uint8Array> => image.webp({ quality: QUALITY }).toBuffer();

/** sharp tells its failures apart by their text alone. */
async function orFail<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const text = (error as Error).message;
    if (/unsupported image format/.test(text)) throw new UnusableImage("FORMAT", error);
    if (/timeout: \d+% complete/.test(text)) throw new UnusableImage("TIME", error);
    throw new UnusableImage("DAMAGED", error);
  }
}
