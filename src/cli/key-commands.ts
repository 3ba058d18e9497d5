import { Command } from "commander";
import { type AccessKey, AccessKeySchema } from "../gen/muster/v1/project_pb.ts";
import { connectFromEnvironment } from "./api-client.ts";
import { externalKeyCommand } from "./external-key-commands.ts";
import type { Host } from "./host.ts";
import { printRecord, printTable, recordOf } from "./print.ts";
import { type ProjectOptions, projectOf, withProject } from "./project-options.ts";

/** `muster key …`: the access keys of a project, and those of its own system. */
export function keyCommand(host: Host): Command {
  const group = new Command("key").description(
    "Make, list and revoke the access keys of a project; external: those of its own system",
  );
  group.addCommand(
    withProject(new Command("create").description("Make an access key; its secret is shown this once"))
      .argument("[name]", "what the key is for", "")
      .action((name: string, options: ProjectOptions) => create(host, name, options)),
  );
  group.addCommand(
    withProject(new Command("list").description("List the access keys of a project, oldest first")).action(
      (options: ProjectOptions) => list(host, options),
    ),
  );
  group.addCommand(
    withProject(new Command("revoke").description("Revoke an access key, within a second and for good"))
      .argument("<key-id>")
      .action((keyId: string, options: ProjectOptions) => revoke(host, keyId, options)),
  );
  group.addCommand(externalKeyCommand(host));
  return group;
}

async function create(host: Host, displayName: string, options: ProjectOptions): Promise<void> {
  const server = await connectFromEnvironment(host, options.url);
  const { accessKey, key } = await server.projects.createAccessKey({
    projectId: projectOf(server, options),
    displayName,
  });
  printRecord(host, options.json ?? false, { access_key: accessKey, key: fieldsOf(key) });
}

async function list(host: Host, options: ProjectOptions): Promise<void> {
  const server = await connectFromEnvironment(host, options.url);
  const { keys } = await server.projects.listAccessKeys({ projectId: projectOf(server, options) });
  printTable(host, options.json ?? false, keys.map(fieldsOf), ["id", "display_name", "create_time", "revoke_time"]);
}

async function revoke(host: Host, keyId: string, options: ProjectOptions): Promise<void> {
  const server = await connectFromEnvironment(host, options.url);
  const { key } = await server.projects.revokeAccessKey({ projectId: projectOf(server, options), keyId });
  printRecord(host, options.json ?? false, fieldsOf(key));
}

const fieldsOf = (key: AccessKey | undefined) => (key ? recordOf(AccessKeySchema, key) : {});
