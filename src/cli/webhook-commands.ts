import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Command, Option } from "commander";
import { type Webhook, WebhookPayload, WebhookSchema } from "../gen/muster/v1/webhook_pb.ts";
import { duration, integer } from "../setting-values.ts";
import { deliveryCommands } from "./delivery-commands.ts";
import type { Host } from "./host.ts";
import { optionValue } from "./option-value.ts";
import { printRecord, printTable, recordOf } from "./print.ts";
import { connectAsProject, type ProjectClient } from "./project-client.ts";
import { type ServerOptions, withProjectServer } from "./server-options.ts";

/** For each call. */
const WITHIN = { timeoutMs: 30_000 };
const COLUMNS = ["id", "url", "event_types", "disabled", "disabled_cause", "failing_since", "update_time"];

interface SettingOptions extends ServerOptions {
  readonly eventType?: string[];
  readonly payload?: "full" | "thin";
  readonly description?: string;
  readonly maxConcurrency?: number;
}

interface CreateOptions extends SettingOptions {
  readonly disabled?: true;
}

interface UpdateOptions extends SettingOptions {
  readonly to?: string;
  readonly defaultEventTypes?: true;
}

interface RotateOptions extends ServerOptions {
  readonly revokePrevious?: true;
  readonly previousTtl?: number;
}

type WebhookInit = MessageInitShape<typeof WebhookSchema>;

/** `muster webhook …`: where the events of a project are sent to, as its `.system`. */
export function webhookCommand(host: Host): Command {
  const group = new Command("webhook").description("Make, list, change and delete the webhooks of a project");
  const add = <Options extends ServerOptions>(
    command: Command,
    run: (client: ProjectClient, options: Options, argument: string) => Promise<void>,
  ) =>
    group.addCommand(
      withProjectServer(command).action(async (...given: unknown[]) => {
        const [argument, options] = given.length > 2 ? given : ["", given[0]];
        using client = await connectAsProject(host, (options as Options).url);
        await run(client, options as Options, argument as string);
      }),
    );
  const named = (name: string, does: string) => new Command(name).description(does).argument("<id>");
  const creating = new Command("create")
    .description("Make a webhook; its secret is shown this once")
    .argument("<url>", "where to: https")
    .option("--disabled", "send nothing to it yet");
  add<CreateOptions>(withSettings(creating), (client, options, url) => create(host, client, options, url));
  add(new Command("list").description("List the webhooks, the first one made first"), (client, options) =>
    list(host, client, options),
  );
  const updating = named("update", "Change a webhook")
    .option("--to <url>", "where to from now on")
    .option("--default-event-types", "send it all events but those that have to be asked for");
  add<UpdateOptions>(withSettings(updating), (client, options, id) => update(host, client, options, id));
  for (const [name, does] of [
    ["disable", "Send nothing more to a webhook"],
    ["enable", "Send to a webhook again, what happens from now on"],
  ] as const)
    add(named(name, does), (client, options, id) =>
      change(host, client, options, { id, disabled: name === "disable" }),
    );
  const rotating = named("rotate-secret", "Give a webhook another secret, which is shown this once")
    .option("--revoke-previous", "sign with the new one alone from now on, as after a leak")
    .option(
      "--previous-ttl <span>",
      "how long the one before signs as well, such as 24h; otherwise 24h",
      optionValue(duration("1m", "720h")),
    );
  add<RotateOptions>(rotating, (client, options, id) => rotate(host, client, options, id));
  const [listing, redelivering] = deliveryCommands(host);
  add(...listing);
  add(...redelivering);
  add(named("delete", "Delete a webhook and what was to be sent to it"), (client, options, id) =>
    remove(host, client, options, id),
  );
  return group;
}

const withSettings = (command: Command): Command =>
  command
    .option("--event-type <types...>", "what to send, such as user.created or user.*; otherwise all but user.updated")
    .addOption(
      new Option("--payload <kind>", "what to say of an event: all, or its ids only").choices(["full", "thin"]),
    )
    .option("--description <text>", "what it is for")
    .option("--max-concurrency <n>", "the most deliveries at once; otherwise 8", optionValue(integer(1, 64)));

/** The fields that the options name. */
const settingsOf = ({ eventType, payload, description, maxConcurrency }: SettingOptions): WebhookInit => ({
  ...(eventType && { eventTypes: eventType }),
  ...(payload && { payload: payload === "thin" ? WebhookPayload.THIN : WebhookPayload.FULL }),
  ...(description !== undefined && { description }),
  ...(maxConcurrency !== undefined && { maxConcurrency }),
});

async function create(host: Host, { events }: ProjectClient, options: CreateOptions, url: string): Promise<void> {
  const given = { url, ...settingsOf(options), disabled: options.disabled ?? false };
  const { webhook, secret } = await events.createWebhook({ webhook: given }, WITHIN);
  printRecord(host, options.json ?? false, { ...fieldsOf(webhook), secret });
}

async function list(host: Host, { events }: ProjectClient, options: ServerOptions): Promise<void> {
  const { webhooks } = await events.listWebhooks({}, WITHIN);
  printTable(host, options.json ?? false, webhooks.map(fieldsOf), COLUMNS);
}

const update = (host: Host, client: ProjectClient, options: UpdateOptions, id: string): Promise<void> =>
  change(host, client, options, {
    id,
    ...(options.to !== undefined && { url: options.to }),
    ...settingsOf(options),
    ...(options.defaultEventTypes && { eventTypes: [] }),
  });

/** Writes the fields that are there. */
async function change(
  host: Host,
  { events }: ProjectClient,
  options: ServerOptions,
  { id, ...fields }: WebhookInit & { readonly id: string },
): Promise<void> {
  const paths = Object.keys(fields).map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  const request = { webhook: { id, ...fields }, updateMask: { paths } };
  printRecord(host, options.json ?? false, fieldsOf((await events.updateWebhook(request, WITHIN)).webhook));
}

async function rotate(host: Host, { events }: ProjectClient, options: RotateOptions, id: string): Promise<void> {
  const { revokePrevious, previousTtl } = options;
  const request = {
    webhookId: id,
    revokePrevious: revokePrevious ?? false,
    ...(previousTtl !== undefined && { previousTtl: durationFromMs(previousTtl) }),
  };
  const { webhook, secret } = await events.rotateWebhookSecret(request, WITHIN);
  printRecord(host, options.json ?? false, { ...fieldsOf(webhook), secret });
}

async function remove(host: Host, { events }: ProjectClient, options: ServerOptions, id: string): Promise<void> {
  await events.deleteWebhook({ webhookId: id }, WITHIN);
  printRecord(host, options.json ?? false, { deleted: id });
}

const fieldsOf = (webhook: Webhook | undefined) => (webhook ? recordOf(WebhookSchema, webhook) : {});
