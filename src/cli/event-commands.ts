import { setTimeout as sleep } from "node:timers/promises";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Command } from "commander";
import { systemClock } from "../clock.ts";
import { type Event, EventSchema } from "../gen/muster/v1/event_pb.ts";
import type { WatchEventsResponse } from "../gen/muster/v1/event_service_pb.ts";
import { integer } from "../setting-values.ts";
import { CommandEnd } from "./command-end.ts";
import type { Host } from "./host.ts";
import { createInterrupt, INTERRUPTED } from "./interrupt.ts";
import { optionValue } from "./option-value.ts";
import { printTable, printValue, recordOf } from "./print.ts";
import { connectAsProject, type ProjectClient } from "./project-client.ts";
import { type ServerOptions, withProjectServer } from "./server-options.ts";

interface FilterOptions extends ServerOptions {
  readonly type?: string[];
  readonly user?: string;
  readonly cursor?: string;
}

interface ListOptions extends FilterOptions {
  readonly limit: number;
}

interface WatchOptions extends FilterOptions {
  readonly fromOldest?: true;
}

const COLUMNS = ["create_time", "type", "user_id", "origin", "id"];
const MOST_OF_PAGE = 1_000;
/** How long to wait after a stream that broke off. */
const RETRY_MS = 1_000;

/** `muster events …`: what happened in a project, and what happens. */
export function eventsCommand(host: Host): Command {
  const group = new Command("events").description("List and watch what happens in a project");
  const listing = new Command("list")
    .description("List the events that are kept, the oldest first")
    .option("--limit <n>", "how many at most", optionValue(integer(1, 1_000_000)), 50);
  group.addCommand(withFilter(listing).action((options: ListOptions) => list(host, options)));
  const watching = new Command("watch")
    .description("Print what happens, from now on, until it is interrupted; with --json a line of JSON for each event")
    .option("--from-oldest", "begin with the oldest event that is kept");
  group.addCommand(withFilter(watching).action((options: WatchOptions) => watch(host, options)));
  return group;
}

const withFilter = (command: Command): Command =>
  withProjectServer(command)
    .option("--type <types...>", "which, such as user.created or user.*; otherwise all but user.updated")
    .option("--user <id>", "only what is about the user with this id")
    .option("--cursor <cursor>", "go on behind this, which an earlier run told");

const filterOf = ({ type, user }: FilterOptions) => ({ types: type ?? [], userId: user ?? "" });

async function list(host: Host, options: ListOptions): Promise<void> {
  using client = await connectAsProject(host, options.url);
  const events: Event[] = [];
  let cursor = options.cursor ?? "";
  for (let more = true; more && events.length < options.limit; ) {
    const pageSize = Math.min(options.limit - events.length, MOST_OF_PAGE);
    const request = { ...filterOf(options), pageSize, pageToken: cursor };
    const page = await client.events.listEvents(request, { timeoutMs: 30_000 });
    events.push(...page.events);
    more = page.nextPageToken !== "";
    ({ cursor } = page);
  }
  if (options.json) return printValue(host, { events: events.map(fieldsOf), cursor });
  printTable(host, false, events.map(fieldsOf), COLUMNS);
  host.stderr.write(`--cursor ${cursor}\n`);
}

async function watch(host: Host, options: WatchOptions): Promise<void> {
  using client = await connectAsProject(host, options.url);
  const { stop } = createInterrupt(host, systemClock);
  let cursor = options.cursor ?? "";
  let isAway = false;
  while (!stop.aborted) {
    const request = { ...filterOf(options), cursor, fromOldest: options.fromOldest ?? false };
    const waitMs = await readStream(client, request, stop, (message) => {
      isAway = false;
      cursor = message.cursor || cursor;
      if (message.news.case === "event") print(host, options, message.news.value, cursor);
    });
    if (!stop.aborted && !isAway)
      host.stderr.write("The stream broke off. It goes on where it was once the server answers.\n");
    isAway = true;
    await sleep(waitMs, undefined, { signal: stop }).catch(() => {});
  }
  if (cursor !== "") host.stderr.write(`--cursor ${cursor}\n`);
  throw new CommandEnd(INTERRUPTED);
}

/** Reads a stream to its end. Gives how long to wait before the next one; throws where another one would end the same way. */
async function readStream(
  { events }: ProjectClient,
  request: Parameters<ProjectClient["events"]["watchEvents"]>[0],
  stop: AbortSignal,
  take: (message: WatchEventsResponse) => void,
): Promise<number> {
  let waitMs = RETRY_MS;
  try {
    for await (const message of events.watchEvents(request, { signal: stop })) {
      take(message);
      const { news } = message;
      if (news.case === "goodbye" && news.value.reconnectAfter) waitMs = durationMs(news.value.reconnectAfter);
    }
  } catch (error) {
    const { code } = ConnectError.from(error);
    if (!stop.aborted && code !== Code.Unavailable && code !== Code.Aborted) throw error;
  }
  return waitMs;
}

function print(host: Host, { json }: WatchOptions, event: Event, cursor: string): void {
  const fields = fieldsOf(event);
  if (json) return printValue(host, JSON.stringify({ cursor, event: fields }));
  printValue(host, COLUMNS.map((name) => String(fields[name] || "-")).join("  "));
}

const fieldsOf = (event: Event) => recordOf(EventSchema, event);
