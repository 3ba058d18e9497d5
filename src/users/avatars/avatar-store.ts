import type { WriteScope } from "../../db/recorded.ts";
import type { ProjectScope } from "../find-user.ts";
import type { AvatarImages, AvatarSize } from "./avatar-images.ts";

/** An avatar about to be a user's. */
export interface NewAvatar {
  readonly userId: string;
  /** What its address names it by: of these images of this user and no other. */
  readonly hash: string;
  readonly images: AvatarImages;
  /** Its address, that becomes the user's `avatar_url`. */
  readonly url: string;
}

/** Where avatars are kept. What is no longer a user's is removed, whatever takes it away and whatever ends the process meanwhile. */
export interface AvatarStore {
  /**
   * Makes these the images of the user, in place of those before, and sets `avatar_url`: all of it or nothing. Gives whether there
   * is such a user. STORAGE_UNAVAILABLE.
   */
  write(scope: WriteScope, avatar: NewAvatar): Promise<boolean>;
  /** Whether the avatar of this hash is some user's. STORAGE_UNAVAILABLE. */
  has(scope: ProjectScope, hash: string): Promise<boolean>;
  /** One size of the avatar of this hash; undefined if it is no user's. STORAGE_UNAVAILABLE. */
  read(scope: ProjectScope, hash: string, size: AvatarSize): Promise<Uint8Array | undefined>;
}
