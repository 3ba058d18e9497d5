import type { SealedColumn } from "../db/sealed-column.ts";
import type { Sealer } from "../sealing.ts";
import type { JsonObject } from "./strict-json.ts";

/** What a caller has a token say. */
export interface TokenContent {
  /** Claims of the caller's own. */
  readonly claims: JsonObject;
  /** Whom it is for; empty: the project. */
  readonly audience: readonly string[];
}

/** The token that a content is of. */
export interface ContentOwner {
  readonly projectId: string;
  readonly tokenId: string;
}

const contextOf = ({ projectId, tokenId }: ContentOwner) => ({ purpose: "token-content", projectId, id: tokenId });

export const SEALED_TOKEN_CONTENT: SealedColumn = {
  table: "tokens",
  column: "sealed_content",
  key: ["project_id", "id"],
  contextOf: ({ project_id: projectId = "", id: tokenId = "" }) => contextOf({ projectId, tokenId }),
};

/** The content as it is kept, for ExtendToken: nobody reads in the database what tokens say. Null: there is none. */
export function sealContent(sealer: Sealer, owner: ContentOwner, { claims, audience }: TokenContent): Buffer | null {
  if (Object.keys(claims).length + audience.length === 0) return null;
  return sealer.seal(Buffer.from(JSON.stringify({ claims, audience })), contextOf(owner));
}

/** The content that was kept. */
export function openContent(sealer: Sealer, owner: ContentOwner, sealed: Uint8Array | null): TokenContent {
  if (!sealed) return { claims: {}, audience: [] };
  return JSON.parse(sealer.open(sealed, contextOf(owner)).toString()) as TokenContent;
}
