import { tableSection } from "../export/table-section.ts";

/** Links to reset the password that are still good. */
export const PASSWORD_RESETS_EXPORT = tableSection({
  name: "password_resets",
  table: "password_resets",
  key: ["create_time", "token_digest"],
  exported: ["email_key", "create_time", "expire_time"],
  withheld: { token_digest: "a secret is checked by it" },
});
