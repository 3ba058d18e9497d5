import { tableSection } from "../export/table-section.ts";

const ORDER = "the place in the history of the database: the entries stand in this order";
const WHO = "who did it is data of whoever that was, and of the project";

/** What was done to a user, by which call, in the order it was. */
export const AUDIT_EXPORT = tableSection({
  name: "audit_entries",
  table: "audit_entries",
  key: ["transaction_id", "sequence"],
  transaction: "audit_transaction(transaction_id)",
  exported: ["create_time", "method", "actor_kind", "target", "details"],
  withheld: { transaction_id: ORDER, sequence: ORDER, actor_id: WHO, address: WHO, request_id: WHO, origin: WHO },
});
