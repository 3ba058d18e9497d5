/** The sizes an avatar is kept in: the side of the square, in pixels. */
export const AVATAR_SIZES = [64, 256, 512] as const;
export type AvatarSize = (typeof AVATAR_SIZES)[number];

/** The size that `avatar_url` names. */
export const MAIN_SIZE: AvatarSize = 256;

/** An avatar, as WebP, in each size. */
export type AvatarImages = Readonly<Record<AvatarSize, Uint8Array>>;

/** The most pixels of an image that is decoded. */
export const MOST_PIXELS = 24_000_000;

/** Why an image is refused: the words for machines, and those for people. */
export const IMAGE_PROBLEMS = {
  FORMAT: "is not a JPEG, PNG or WebP",
  PIXELS: "has more than 24 megapixels",
  DAMAGED: "is cut off or broken",
  TIME: "took too long to decode",
} as const;
export type ImageProblem = keyof typeof IMAGE_PROBLEMS;
