import { tableSection } from "../export/table-section.ts";

/** That codes were sent, to which addresses and when. */
export const LOCATOR_CODES_EXPORT = tableSection({
  name: "locator_codes",
  table: "locator_codes",
  key: ["type", "key"],
  exported: ["type", "key", "send_time", "expire_time", "tries", "sends", "window_start"],
  withheld: { sealed_digest: "a secret is checked by it" },
});
