import { MusterError } from "../errors.ts";
import { UUID } from "../ids.ts";
import { type HttpRoute, isFresh, type PlainRequest, type PlainResponse } from "../rpc/plain-http.ts";
import { AVATAR_PATH, type AvatarAddress, addressOf } from "./avatars/avatar-address.ts";
import type { AvatarStore } from "./avatars/avatar-store.ts";

/** The images of avatars, by addresses that nobody guesses. Public, so pages of any origin may show and read them. */
export function avatarRoutes(store: AvatarStore): HttpRoute[] {
  return [{ method: "GET", path: AVATAR_PATH, handle: (request) => answer(store, request) }];
}

const PUBLIC = {
  "access-control-allow-origin": "*",
  "cross-origin-resource-policy": "cross-origin",
  // Whatever an image were taken for, it would load nothing and run nothing.
  "content-security-policy": "default-src 'none'; sandbox",
};

async function answer(store: AvatarStore, request: PlainRequest): Promise<PlainResponse> {
  const { signal } = request;
  try {
    return (await found(store, addressOf(request.match), request)) ?? { status: 404, headers: PUBLIC };
  } catch (error) {
    // Nobody is left to read the answer.
    if (signal.aborted) return { status: 503 };
    if (!(error instanceof MusterError) || error.reason !== "STORAGE_UNAVAILABLE") throw error;
    return { status: 503, headers: { ...PUBLIC, "retry-after": "1" } };
  }
}

/** The answer of an address that is some user's. It never shows another image: who has that one is told so without it being read. */
async function found(
  store: AvatarStore,
  { projectId, hash, size }: AvatarAddress,
  { headers: asked, signal }: PlainRequest,
): Promise<PlainResponse | undefined> {
  if (!UUID.test(projectId)) return undefined;
  const scope = { projectId, signal };
  const etag = `"${hash}-${size}"`;
  const headers = { ...PUBLIC, "cache-control": "public, max-age=31536000, immutable", etag };
  if (isFresh(asked["if-none-match"], etag))
    return (await store.has(scope, hash)) ? { status: 304, headers } : undefined;
  const body = await store.read(scope, hash, size);
  return body && { status: 200, headers: { ...headers, "content-type": "image/webp" }, body };
}
