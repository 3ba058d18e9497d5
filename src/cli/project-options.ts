import type { Command } from "commander";
import { StartError } from "../start-error.ts";
import type { ServerClient } from "./api-client.ts";
import { type ServerOptions, withServer } from "./server-options.ts";

/** The options of every command that is about one project of a running server. */
export interface ProjectOptions extends ServerOptions {
  readonly project?: string;
}

/** Gives a command the options of those that are about one project: `--project`, `--url` and `--json`. */
export const withProject = (command: Command): Command =>
  withServer(command.option("--project <project-id>", "the project; otherwise that of the development server"));

/** The project that a command is about. Throws StartError if nothing names one. */
export function projectOf({ defaultProjectId }: ServerClient, { project }: ProjectOptions): string {
  const id = project ?? defaultProjectId;
  if (!id) throw new StartError("Which project? Name it with --project");
  return id;
}
