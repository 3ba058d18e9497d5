import { tableSection } from "../export/table-section.ts";

/** The tokens of which a row is kept. */
export const TOKENS_EXPORT = tableSection({
  name: "tokens",
  table: "tokens",
  key: ["id"],
  exported: ["id", "issue_time", "expire_time", "revoke_time", "key_id", "claims", "audience"],
});
