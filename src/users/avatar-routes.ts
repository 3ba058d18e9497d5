import { MusterError } from "../errors.ts";
import { UUID } from "../ids.ts";
import type { HttpRoute, PlainResponse } from "../rpc/plain-http.ts";
import { AVATAR_PATH, type AvatarAddress, addressOf } from "./avatars/avatar-address.ts";
import type { AvatarStore } from "./avatars/avatar-store.ts";

/** The images of avatars, by addresses that nobody guesses. Public, so pages of any origin may show and read them. */
export function avatarRoutes(store: AvatarStore): HttpRoute[] {
  return [{ method: "GET", path: AVATAR_PATH, handle: ({ match, signal }) => answer(store, addressOf(match), signal) }];
}

const PUBLIC = {
  "access-control-allow-origin": "*",
  "cross-origin-resource-policy": "cross-origin",
  // Whatever an image were taken for, it would load nothing and run nothing.
  "content-security-policy": "default-src 'none'; sandbox",
};

async function answer(
  store: AvatarStore,
  { projectId, hash, size }: AvatarAddress,
  signal: AbortSignal,
): Promise<PlainResponse> {
  try {
    const image = UUID.test(projectId) ? await store.read({ projectId, signal }, hash, size) : undefined;
    if (!image) return { status: 404, headers: PUBLIC };
    return {
      status: 200,
      headers: {
        ...PUBLIC,
        "content-type": "image/webp",
        "cache-control": "public, max-age=31536000, immutable",
        etag: `"${hash}-${size}"`,
      },
      body: image,
    };
  } catch (error) {
    // Nobody is left to read the answer.
    if (signal.aborted) return { status: 503 };
    if (!(error instanceof MusterError) || error.reason !== "STORAGE_UNAVAILABLE") throw error;
    return { status: 503, headers: { ...PUBLIC, "retry-after": "1" } };
  }
}
