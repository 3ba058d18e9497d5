import type { Command } from "commander";
import { httpUrl } from "../setting-values.ts";
import { optionValue } from "./option-value.ts";

/** The options of every command that talks to a running server. */
export interface ServerOptions {
  readonly url?: string;
  readonly json?: true;
}

/** Gives a command the options of those that talk to a running server as its operator: `--url` and `--json`. */
export function withServer(command: Command): Command {
  return withUrl(command)
    .option("--json", "print JSON, errors too")
    .addHelpText("after", "\nThe operator key is read from MUSTER_OPERATOR_KEY; for a development server it is known.");
}

/** Gives a command the options of those that talk to a running server as `.system` of a project: `--url` and `--json`. */
export function withProjectServer(command: Command): Command {
  return withUrl(command)
    .option("--json", "print the summary as JSON, errors too")
    .addHelpText(
      "after",
      "\nThe access key, which names the project, is read from MUSTER_ACCESS_KEY; for a development server it is known.",
    );
}

function withUrl(command: Command): Command {
  return command.option(
    "--url <url>",
    "the server; otherwise MUSTER_URL, otherwise the development server of the data folder",
    optionValue(httpUrl),
  );
}
