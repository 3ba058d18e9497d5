import { tableSection } from "../export/table-section.ts";

const OF_OTHERS = "none in the rows of a user: these name one token, session or key that ended";
const ORDER = "the place in the history of the database: the rows stand in this order";

/** That all access of the user from before a time ended, as long as it is remembered. */
export const REVOCATIONS_EXPORT = tableSection({
  name: "revocations",
  table: "revocations",
  key: ["transaction_id", "sequence"],
  exported: ["before_time", "cause", "create_time", "forget_after_time"],
  withheld: {
    token_id: OF_OTHERS,
    session_id: OF_OTHERS,
    key_id: OF_OTHERS,
    access_key_id: OF_OTHERS,
    transaction_id: ORDER,
    sequence: ORDER,
  },
});
