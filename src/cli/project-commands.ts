import { Command } from "commander";
import { type Project, ProjectSchema } from "../gen/muster/v1/project_pb.ts";
import { StartError } from "../start-error.ts";
import { connectFromEnvironment } from "./api-client.ts";
import type { Host } from "./host.ts";
import { printRecord, printTable, recordOf } from "./print.ts";
import { type SettingsOptions, settingsMask, settingsOf, withSettings } from "./project-settings-options.ts";
import { type ServerOptions, withServer } from "./server-options.ts";

type CreateOptions = ServerOptions & SettingsOptions;
type UpdateOptions = CreateOptions & { readonly name?: string };

/** `muster project …`: calls ProjectService as the operator. */
export function projectCommand(host: Host): Command {
  const group = new Command("project").description("Make, look at, change and delete projects");
  group.addCommand(
    withServer(
      withSettings(new Command("create").description("Make a project").argument("<name>", "the name to show")),
    ).action((name: string, options: CreateOptions) => create(host, name, options)),
  );
  group.addCommand(
    withServer(new Command("list").description("List all projects, oldest first")).action((options: ServerOptions) =>
      list(host, options),
    ),
  );
  group.addCommand(
    withServer(new Command("get").description("Show a project").argument("<project-id>")).action(
      (id: string, options: ServerOptions) => get(host, id, options),
    ),
  );
  const updating = new Command("update").description("Change a project's name or settings").argument("<project-id>");
  group.addCommand(
    withServer(withSettings(updating.option("--name <name>", "a new name"))).action(
      (id: string, options: UpdateOptions) => update(host, id, options),
    ),
  );
  const deleting = new Command("delete")
    .description("Delete a project with all its users, for good")
    .argument("<project-id>");
  group.addCommand(
    withServer(deleting.requiredOption("--yes", "say that this is meant")).action(
      (id: string, options: ServerOptions) => remove(host, id, options),
    ),
  );
  return group;
}

async function create(host: Host, displayName: string, options: CreateOptions): Promise<void> {
  const { projects } = await connectFromEnvironment(host, options.url);
  const { project } = await projects.createProject({ displayName, settings: settingsOf(options) });
  print(host, options, project);
}

async function list(host: Host, options: ServerOptions): Promise<void> {
  const { projects } = await connectFromEnvironment(host, options.url);
  const found: Project[] = [];
  let pageToken = "";
  do {
    const page = await projects.listProjects({ pageSize: 1_000, pageToken });
    found.push(...page.projects);
    pageToken = page.nextPageToken;
  } while (pageToken);
  const records = found.map((project) => recordOf(ProjectSchema, project));
  printTable(host, options.json ?? false, records, ["id", "display_name", "create_time"]);
}

async function get(host: Host, projectId: string, options: ServerOptions): Promise<void> {
  const { projects } = await connectFromEnvironment(host, options.url);
  print(host, options, (await projects.getProject({ projectId })).project);
}

async function update(host: Host, projectId: string, options: UpdateOptions): Promise<void> {
  const settings = settingsOf(options);
  if (options.name === undefined && Object.keys(settings).length === 0)
    throw new StartError("There is nothing to change: name a setting or --name");
  const { projects } = await connectFromEnvironment(host, options.url);
  const updateMask = settingsMask(settings);
  if (options.name !== undefined) updateMask.paths.push("display_name");
  const change = { projectId, displayName: options.name ?? "", settings, updateMask };
  print(host, options, (await projects.updateProject(change)).project);
}

async function remove(host: Host, projectId: string, options: ServerOptions): Promise<void> {
  const { projects } = await connectFromEnvironment(host, options.url);
  await projects.deleteProject({ projectId });
  printRecord(host, options.json ?? false, { deleted: projectId });
}

function print(host: Host, options: ServerOptions, project: Project | undefined): void {
  printRecord(host, options.json ?? false, project ? recordOf(ProjectSchema, project) : {});
}
