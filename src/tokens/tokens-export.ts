import { tableSection } from "../export/table-section.ts";
import { openContent } from "./token-content.ts";

/** The tokens of which a row is kept, with what was asked to stand in them. */
export const TOKENS_EXPORT = tableSection({
  name: "tokens",
  table: "tokens",
  key: ["id"],
  exported: ["id", "issue_time", "expire_time", "revoke_time", "key_id"],
  read: ["sealed_content"],
  withheld: { sealed_content: "told opened, as the claims and the audience in it" },
  item({ sealed_content: sealed, ...row }, { projectId, sealer }) {
    const tokenId = String(row["id"]);
    const { claims, audience } = openContent(sealer, { projectId, tokenId }, (sealed ?? null) as Uint8Array | null);
    return {
      ...row,
      ...(Object.keys(claims).length > 0 && { claims }),
      ...(audience.length > 0 && { audience }),
    };
  },
});
