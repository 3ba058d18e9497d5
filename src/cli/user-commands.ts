import { Command } from "commander";
import { integer } from "../setting-values.ts";
import type { Host } from "./host.ts";
import { optionValue } from "./option-value.ts";
import { withProjectServer } from "./server-options.ts";
import { type ExportCommandOptions, runExport } from "./user-export.ts";
import { type ImportCommandOptions, runImport } from "./user-import.ts";

/** `muster user …`: the users of a project, in bulk. */
export function userCommand(host: Host): Command {
  const group = new Command("user").description("Import and export the users of a project");
  group.addCommand(importCommand(host));
  group.addCommand(exportCommand(host));
  return group;
}

const IMPORT_HELP = `
Each line is one user, as UpsertUserRequest in JSON: {"external_id": "7", "user": {"name": "Ada", "email": "ada@example.com"}}.
An import that was broken off goes on where it was when the same command is run again.
Exit codes: 0 all rows are in; 1 it failed; 2 misuse; 3 some rows were refused; 130 it was interrupted.`;

function importCommand(host: Host): Command {
  const command = new Command("import")
    .description("Make users, or bring them up to date, from a file of JSON Lines")
    .argument("<file>", "the file; - for standard input")
    .option("--dry-run", "write nothing; print for each row what would come of it, as JSON Lines")
    .option("--errors <file>", "where the refused rows are told, as JSON Lines; otherwise on standard error")
    .option(
      "--state <file>",
      "where to keep how far it has come; otherwise <file>.muster-state; of standard input nowhere",
    )
    .option("--restart", "begin anew, whatever an earlier run has done")
    .option("--parallel <n>", "batches under way at a time, 1 to 16", optionValue(integer(1, 16)), 4);
  return withProjectServer(command)
    .addHelpText("after", IMPORT_HELP)
    .action((file: string, options: ImportCommandOptions) => runImport(host, file, options));
}

const EXPORT_HELP = `
Each line is what import takes. Passwords are never part of it.
Exit codes: 0 all users are out; 1 it failed; 2 misuse; 130 it was interrupted; 141 the reader of standard output left.`;

function exportCommand(host: Host): Command {
  const command = new Command("export")
    .description("Write all users as JSON Lines, in the order of their external ids")
    .option("--output <file>", "a new file; otherwise standard output")
    .option("--resume", "go on behind the last whole line of the file")
    .option("--all-fields", "also what the server sets, such as id and create_time, which import passes over");
  return withProjectServer(command)
    .addHelpText("after", EXPORT_HELP)
    .action((options: ExportCommandOptions) => runExport(host, options));
}
