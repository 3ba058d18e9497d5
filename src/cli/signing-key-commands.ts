import { Command, Option } from "commander";
import { type SigningKey, SigningKeySchema } from "../gen/muster/v1/token_pb.ts";
import { RotationMode } from "../gen/muster/v1/token_service_pb.ts";
import { StartError } from "../start-error.ts";
import { connectFromEnvironment } from "./api-client.ts";
import type { Host } from "./host.ts";
import { printRecord, printTable, recordOf } from "./print.ts";
import { type ProjectOptions, projectOf, withProject } from "./project-options.ts";

interface RotateOptions extends ProjectOptions {
  readonly mode: keyof typeof MODES;
  readonly yes?: true;
}

const MODES = { graceful: RotationMode.GRACEFUL, "revoke-all": RotationMode.REVOKE_ALL } as const;
const COLUMNS = ["id", "algorithm", "state", "activate_time", "retire_time", "live_tokens", "safe_to_retire_time"];

/** `muster signing-key …`: the keys that sign a project's tokens. */
export function signingKeyCommand(host: Host): Command {
  const group = new Command("signing-key").description("List and rotate the keys that sign a project's tokens");
  group.addCommand(
    withProject(new Command("list").description("List the signing keys of a project, the last to sign first")).action(
      (options: ProjectOptions) => list(host, options),
    ),
  );
  const mode = new Option("--mode <mode>", "graceful: old tokens live out their time; revoke-all: every JWT ends");
  group.addCommand(
    withProject(
      new Command("rotate")
        .description("Have a new key sign a project's tokens")
        .addOption(mode.choices(Object.keys(MODES)).makeOptionMandatory())
        .option("--yes", "say that revoke-all is meant"),
    ).action((options: RotateOptions) => rotate(host, options)),
  );
  return group;
}

async function list(host: Host, options: ProjectOptions): Promise<void> {
  const server = await connectFromEnvironment(host, options.url);
  const { keys } = await server.tokens.listSigningKeys({ projectId: projectOf(server, options) });
  printTable(host, options.json ?? false, keys.map(fieldsOf), COLUMNS);
}

async function rotate(host: Host, options: RotateOptions): Promise<void> {
  if (options.mode === "revoke-all" && !options.yes)
    throw new StartError("revoke-all ends every JWT of the project: say --yes if that is meant");
  const server = await connectFromEnvironment(host, options.url);
  const request = { projectId: projectOf(server, options), mode: MODES[options.mode] };
  const { key } = await server.tokens.rotateSigningKey(request);
  printRecord(host, options.json ?? false, key ? fieldsOf(key) : {});
}

const fieldsOf = (key: SigningKey) => recordOf(SigningKeySchema, key);
