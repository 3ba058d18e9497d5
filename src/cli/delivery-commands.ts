import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Command, Option } from "commander";
import { type Delivery, DeliverySchema, DeliveryState } from "../gen/muster/v1/delivery_pb.ts";
import { integer } from "../setting-values.ts";
import type { Host } from "./host.ts";
import { optionValue } from "./option-value.ts";
import { printRecord, printTable, recordOf } from "./print.ts";
import type { ProjectClient } from "./project-client.ts";
import type { ServerOptions } from "./server-options.ts";

/** For each call. */
const WITHIN = { timeoutMs: 30_000 };
const COLUMNS = ["event_id", "event_type", "user_id", "state", "tried", "last", "next_attempt_time", "create_time"];

interface ListOptions extends ServerOptions {
  readonly state?: "pending" | "succeeded" | "failed";
  readonly event?: string;
  readonly limit: number;
}

interface RedeliverOptions extends ServerOptions {
  readonly event?: string;
  readonly from?: Timestamp;
  readonly to?: Timestamp;
  readonly eventType?: string[];
  readonly undelivered?: boolean;
}

/** How a command of a webhook is run. */
type Run<Options> = (client: ProjectClient, options: Options, webhookId: string) => Promise<void>;

/** `muster webhook deliveries` and `muster webhook redeliver`, each with how it is run. */
export function deliveryCommands(
  host: Host,
): [list: [Command, Run<ListOptions>], redeliver: [Command, Run<RedeliverOptions>]] {
  const listing = new Command("deliveries")
    .description("List what was sent to a webhook, or is to be, the newest first")
    .argument("<id>")
    .addOption(new Option("--state <state>", "only those that stand so").choices(["pending", "succeeded", "failed"]))
    .option("--event <id>", "only that of one event")
    .addOption(new Option("--limit <n>", "at most so many").default(50).argParser(optionValue(integer(1, 1_000))));
  const redelivering = new Command("redeliver")
    .description("Send to a webhook again: one event, or those of a time")
    .argument("<id>")
    .option("--event <id>", "the event")
    .option("--from <time>", "those from this time on, such as 2026-01-31T12:00:00Z", optionValue(timeOf))
    .option("--to <time>", "and before this one; otherwise until now", optionValue(timeOf))
    .option("--event-type <types...>", "of these types, such as user.created or user.*; otherwise those that it gets")
    .option("--undelivered", "without those that it was sent within the last week");
  return [
    [listing, (client, options, id) => list(host, client, options, id)],
    [redelivering, (client, options, id) => redeliver(host, client, options, id)],
  ];
}

const STATES = { pending: DeliveryState.PENDING, succeeded: DeliveryState.SUCCEEDED, failed: DeliveryState.FAILED };

async function list(host: Host, { events }: ProjectClient, options: ListOptions, webhookId: string): Promise<void> {
  const { json = false, state, event: eventId = "", limit: pageSize } = options;
  const asked = { webhookId, eventId, pageSize, ...(state && { state: STATES[state] }) };
  const { deliveries } = await events.listDeliveries(asked, WITHIN);
  const told = deliveries.map((delivery) => (json ? recordOf(DeliverySchema, delivery) : rowOf(delivery)));
  printTable(host, json, told, COLUMNS);
}

function rowOf(delivery: Delivery): Record<string, unknown> {
  const last = delivery.attempts.at(-1);
  return {
    ...recordOf(DeliverySchema, delivery),
    tried: delivery.attempts.length,
    last: last && (last.error || last.statusCode),
  };
}

/** Goes on with a range until all of it is done. */
async function redeliver(
  host: Host,
  { events }: ProjectClient,
  options: RedeliverOptions,
  webhookId: string,
): Promise<void> {
  const which = whichOf(options);
  let count = 0;
  let pageToken = "";
  do {
    const answer = await events.redeliverEvent({ webhookId, which, pageToken }, WITHIN);
    count += answer.deliveryCount;
    pageToken = answer.nextPageToken;
  } while (pageToken !== "");
  printRecord(host, options.json ?? false, { delivery_count: count });
}

function whichOf({ event, from, to, eventType = [], undelivered = false }: RedeliverOptions) {
  if (event !== undefined) return { case: "eventId", value: event } as const;
  const value = {
    types: eventType,
    onlyUndelivered: undelivered,
    ...(from && { fromTime: from }),
    ...(to && { toTime: to }),
  };
  return { case: "range", value } as const;
}

function timeOf(text: string): Timestamp {
  const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new RangeError("must be a time such as 2026-01-31T12:00:00Z");
  return timestampFromMs(ms);
}
