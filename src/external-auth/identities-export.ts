import { tableSection } from "../export/table-section.ts";

/** What identity providers call the user, and what they said of it. */
export const IDENTITIES_EXPORT = tableSection({
  name: "identities",
  table: "identities",
  key: ["create_time", "provider_id", "subject"],
  exported: ["provider_id", "subject", "email", "email_verified", "create_time", "last_sign_in_time"],
});
