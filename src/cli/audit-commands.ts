import { Command } from "commander";
import { UUID } from "../ids.ts";
import { integer } from "../setting-values.ts";
import { headOption } from "./audit-heads.ts";
import { type ListOptions, runList, timeOption } from "./audit-list.ts";
import { runVerify, type VerifyOptions } from "./audit-verify.ts";
import type { Host } from "./host.ts";
import { optionValue } from "./option-value.ts";
import { withProject } from "./project-options.ts";

const VERIFY_HELP = `
Works on the database itself, with the environment of the servers, and writes nothing.
Keep what --json prints in another place: the next run takes it by --heads and finds out whether the end of a trail was cut off.
Exit codes: 0 nothing was found; 1 something was, or it failed; 2 misuse.`;

/** `muster audit …`: the trail of who did what. */
export function auditCommand(host: Host): Command {
  const group = new Command("audit").description("List and verify the trail of who did what");
  group.addCommand(
    new Command("verify")
      .description("Recompute the seals of the trail: finds what was changed, removed or inserted, and says where")
      .option(
        "--project <project-id>",
        "only this project; otherwise all, the deleted ones too",
        optionValue(projectId),
      )
      .option("--expect <project=number:hash>", "a seal that was there before; any number of times", expected)
      .option("--heads <file>", "the seals that were there before: what a former run printed with --json")
      .option("--json", "print JSON, errors too")
      .addHelpText("after", VERIFY_HELP)
      .action((options: VerifyOptions) => runVerify(host, options)),
  );
  group.addCommand(
    withProject(
      new Command("list")
        .description("List what was done in a project, the newest first")
        .option("--user <user-id>", "only what was done to this user")
        .option("--actor <id>", "only what was done by this access key or user")
        .option("--method <method>", "only what was done by this RPC or job, such as UserService/UpsertUser")
        .option("--after <time>", "only what was done at this time or later", optionValue(timeOption))
        .option("--before <time>", "only what was done before this time", optionValue(timeOption))
        .option("--limit <n>", "the most entries, 1 to 100000", optionValue(integer(1, 100_000)), 50),
    ).action((options: ListOptions) => runList(host, options)),
  );
  return group;
}

const expected = (text: string, before?: string[]): string[] => optionValue((value) => headOption(value, before))(text);

function projectId(text: string): string {
  if (!UUID.test(text)) throw new Error("must be the id of a project");
  return text;
}
