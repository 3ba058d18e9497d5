/** The chunks of a WebP that an image is made of (RFC 9649 §2.7), each of which counts once. */
const PARTS = new Set(["VP8X", "ICCP", "ANIM", "ANMF", "ALPH", "VP8 ", "VP8L", "EXIF"]);

/** The header of the container, and that of a chunk, in bytes. */
const CONTAINER = 12;
const CHUNK = 8;

/**
 * A WebP without what follows the first chunk of each kind: of an animation that is the first frame. libvips walks the list of
 * frames once for each of them, so that those of 5 MiB would take it minutes. Any other image is given back as it is.
 */
export function firstFrameOf(image: Uint8Array): Uint8Array {
  const bytes = Buffer.from(image.buffer, image.byteOffset, image.byteLength);
  if (bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, CONTAINER) !== "WEBP") return image;
  const seen = new Set<string>();
  const kept: Buffer[] = [];
  for (let at = CONTAINER; at + CHUNK <= bytes.length; ) {
    const kind = bytes.toString("latin1", at, at + 4);
    const length = bytes.readUInt32LE(at + 4);
    // Chunks begin at even places. One that ends beyond the image is for the decoder to refuse.
    const end = at + CHUNK + length + (length % 2);
    if (PARTS.has(kind) && !seen.has(kind)) kept.push(bytes.subarray(at, end));
    seen.add(kind);
    at = end;
  }
  const container = Buffer.concat([bytes.subarray(0, CONTAINER), ...kept]);
  container.writeUInt32LE(container.length - CHUNK, 4);
  return container;
}
