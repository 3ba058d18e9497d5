import { readFileSync } from "node:fs";
import { type DescMessage, fromJson, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { Command } from "commander";
import { CreateProviderRequestSchema, UpdateProviderRequestSchema } from "../gen/muster/v1/external_auth_service_pb.ts";
import { type Provider, ProviderSchema } from "../gen/muster/v1/provider_pb.ts";
import { StartError } from "../start-error.ts";
import type { Host } from "./host.ts";
import { printRecord, printTable, recordOf } from "./print.ts";
import { connectAsProject, type ProjectClient } from "./project-client.ts";
import { type ServerOptions, withProjectServer } from "./server-options.ts";

/** For each call. */
const WITHIN = { timeoutMs: 30_000 };
const COLUMNS = ["id", "kind", "display_name", "disabled", "update_time"];
const FILE = "the request as JSON, as in docs/providers.md; - for standard input";

/** `muster provider …`: the identity providers of a project, as its `.system`. */
export function providerCommand(host: Host): Command {
  const group = new Command("provider").description(
    "Make, look at, change and delete the identity providers of a project",
  );
  const add = (command: Command, run: (client: ProjectClient, options: Options, argument: string) => Promise<void>) =>
    group.addCommand(
      withProjectServer(command).action(async (...given: unknown[]) => {
        const [argument, options] = given.length > 2 ? given : ["", given[0]];
        using client = await connectAsProject(host, (options as Options).url);
        await run(client, options as Options, argument as string);
      }),
    );
  const named = (name: string, does: string) => new Command(name).description(does).argument("<id>");
  const reading = (name: string, does: string) => new Command(name).description(does).argument("<file>", FILE);
  add(reading("create", 'Make a provider: {"provider": {…}}'), (client, options, file) =>
    create(host, client, options, file),
  );
  add(new Command("list").description("List the providers, by id"), (client, options) => list(host, client, options));
  add(named("get", "Show a provider"), (client, options, id) => get(host, client, options, id));
  add(reading("update", 'Change a provider: {"provider": {…}, "updateMask": "…"}'), (client, options, file) =>
    update(host, client, options, file),
  );
  const deleting = named("delete", "Delete a provider").option("--force", "with the identities that users have of it");
  add(deleting, (client, options, id) => remove(host, client, options, id));
  return group;
}

interface Options extends ServerOptions {
  readonly force?: true;
}

async function create(host: Host, { auth }: ProjectClient, options: Options, file: string): Promise<void> {
  print(host, options, (await auth.createProvider(requestIn(CreateProviderRequestSchema, file), WITHIN)).provider);
}

async function list(host: Host, { auth }: ProjectClient, options: Options): Promise<void> {
  const { providers } = await auth.listProviders({}, WITHIN);
  const records = providers.map((provider) => recordOf(ProviderSchema, provider));
  const rows = records.map((record, index) => ({ ...record, kind: providers[index]?.config.case }));
  printTable(host, options.json ?? false, options.json ? records : rows, COLUMNS);
}

async function get(host: Host, { auth }: ProjectClient, options: Options, id: string): Promise<void> {
  print(host, options, (await auth.getProvider({ provider: id }, WITHIN)).provider);
}

async function update(host: Host, { auth }: ProjectClient, options: Options, file: string): Promise<void> {
  print(host, options, (await auth.updateProvider(requestIn(UpdateProviderRequestSchema, file), WITHIN)).provider);
}

async function remove(host: Host, { auth }: ProjectClient, options: Options, id: string): Promise<void> {
  await auth.deleteProvider({ provider: id, force: options.force ?? false }, WITHIN);
  printRecord(host, options.json ?? false, { deleted: id });
}

const print = (host: Host, options: Options, provider: Provider | undefined): void =>
  printRecord(host, options.json ?? false, provider ? recordOf(ProviderSchema, provider) : {});

/** The request in a file. Throws StartError for what is none. */
function requestIn<Desc extends DescMessage>(schema: Desc, file: string): MessageShape<Desc> {
  const name = file === "-" ? "Standard input" : file;
  const json = jsonOf(readFileSync(file === "-" ? 0 : file, "utf8"), name);
  try {
    return fromJson(schema, json);
  } catch (error) {
    throw new StartError(`${name} is no ${schema.name}: ${(error as Error).message}`);
  }
}

/** What the parser says of a mistake repeats what is beside it, which may be a secret. */
function jsonOf(text: string, name: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw new StartError(`${name} is no JSON`);
  }
}
