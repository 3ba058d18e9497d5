import type { ValueSection } from "../export/export-section.ts";
import { urlOf } from "./avatars/avatar-address.ts";
import { AVATAR_SIZES } from "./avatars/avatar-images.ts";

interface Row {
  readonly hash: string;
  readonly create_time: Date;
}

const AT_URLS = "the images are at the URLs";

/** Where the images of SetAvatar are. */
export const AVATAR_EXPORT: ValueSection = {
  kind: "value",
  name: "avatar",
  tables: {
    avatars: {
      exported: ["create_time"],
      withheld: {
        hash: "a part of the URLs",
        object_id: "the bucket's name for the images",
        image_64: AT_URLS,
        image_256: AT_URLS,
        image_512: AT_URLS,
      },
    },
  },
  async read(em, { projectId, publicUrl }, userId) {
    const sql = "select hash, create_time from avatars where project_id = ? and user_id = ?";
    const [row] = await em.execute<Row[]>(sql, [projectId, userId]);
    if (!row) return null;
    const urls = AVATAR_SIZES.map((size) => [size, urlOf(publicUrl, projectId, row.hash, size)]);
    return { urls: Object.fromEntries(urls), create_time: new Date(row.create_time).toISOString() };
  },
};
