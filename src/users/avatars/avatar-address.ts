import { createHash } from "node:crypto";
import { AVATAR_SIZES, type AvatarImages, type AvatarSize, MAIN_SIZE } from "./avatar-images.ts";

/**
 * What an avatar's address names it by: the content together with whose it is. The same address never shows another image, nobody
 * tells from two addresses that two users have the same image, and one ends with its user whatever others have.
 */
export function hashOf(projectId: string, userId: string, images: AvatarImages): string {
  const hash = createHash("sha256").update(`${projectId}\0${userId}\0`);
  for (const size of AVATAR_SIZES) hash.update(`${images[size].length}\0`).update(images[size]);
  return hash.digest("hex");
}

/** The address of an avatar under the public URL; without a size, of that which `avatar_url` names. */
export const urlOf = (publicUrl: string, projectId: string, hash: string, size: AvatarSize = MAIN_SIZE): string =>
  `${publicUrl}/avatars/${projectId}/${hash}/${size}.webp`;

/** The path of an address. */
export const AVATAR_PATH = new RegExp(
  `^/avatars/(?<projectId>[0-9a-f-]{36})/(?<hash>[0-9a-f]{64})/(?<size>${AVATAR_SIZES.join("|")})\\.webp$`,
);

/** What the path of an address names. */
export interface AvatarAddress {
  readonly projectId: string;
  readonly hash: string;
  readonly size: AvatarSize;
}

/** What AVATAR_PATH matched. */
export const addressOf = ({ groups = {} }: RegExpMatchArray): AvatarAddress => ({
  projectId: groups["projectId"] ?? "",
  hash: groups["hash"] ?? "",
  size: Number(groups["size"]) as AvatarSize,
});
