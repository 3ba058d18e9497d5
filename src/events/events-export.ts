import { tableSection } from "../export/table-section.ts";

/** The message of `event.proto` that the data of an event is: of `user.created`, `muster.v1.UserCreatedEvent`. */
export const messageNameOf = (eventType: string): string => {
  const words = eventType.split(/[._]/).map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `muster.v1.${words.join("")}Event`;
};

const ORDER = "the place in the history of the database: the events stand in this order";

/** What happened to a user, in the order it did. */
export const EVENTS_EXPORT = tableSection({
  name: "events",
  table: "events",
  key: ["transaction_id", "sequence"],
  transaction: "coalesce(written_in, transaction_id)",
  exported: ["id", "type", "data", "origin", "create_time"],
  withheld: { transaction_id: ORDER, sequence: ORDER, written_in: ORDER },
  item({ data, ...event }, { visible }) {
    const seen = visible(messageNameOf(String(event["type"])), data as Parameters<typeof visible>[1]);
    return seen ? { ...event, data: seen } : event;
  },
});
