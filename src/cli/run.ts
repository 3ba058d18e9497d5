import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { auditCommand } from "./audit-commands.ts";
import { CommandEnd } from "./command-end.ts";
import { eventsCommand } from "./event-commands.ts";
import { failureOf } from "./failure.ts";
import type { Host } from "./host.ts";
import { keyCommand } from "./key-commands.ts";
import { migrateCommand } from "./migrate-command.ts";
import { projectCommand } from "./project-commands.ts";
import { providerCommand } from "./provider-commands.ts";
import { sealingCommand } from "./sealing-commands.ts";
import { serveCommand } from "./serve-command.ts";
import { signingKeyCommand } from "./signing-key-commands.ts";
import { tokenCommand } from "./token-commands.ts";
import { userCommand } from "./user-commands.ts";
import { webhookCommand } from "./webhook-commands.ts";

/** The exit codes: 0 done; 1 it failed, and standard error says why; 2 the command was not understood. Some have more of their own. */
const FAILED = 1;
const MISUSED = 2;

/** Runs one `muster` command to its end and gives the exit code. */
export async function runCommandLine(host: Host): Promise<number> {
  const program = new Command("muster")
    .description("The identity backend behind the login of chat, community and realtime apps")
    .version(ownVersion(), "-V, --version", "print the version")
    .configureHelp({ showGlobalOptions: true })
    .helpCommand(false);
  const commands = [
    serveCommand,
    migrateCommand,
    projectCommand,
    keyCommand,
    signingKeyCommand,
    providerCommand,
    webhookCommand,
    sealingCommand,
    auditCommand,
    userCommand,
    eventsCommand,
    tokenCommand,
  ];
  for (const command of commands) program.addCommand(command(host));
  for (const command of withinOf(program))
    command
      .exitOverride()
      .showHelpAfterError("(see --help)")
      .configureOutput({ writeOut: (text) => host.stdout.write(text), writeErr: (text) => host.stderr.write(text) });
  try {
    await program.parseAsync([...host.args], { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : MISUSED;
    if (error instanceof CommandEnd) return error.exitCode;
    const failure = failureOf(error);
    const text = host.args.includes("--json") ? JSON.stringify({ error: failure }) : `muster: ${failure.message}`;
    host.stderr.write(`${text}\n`);
    return FAILED;
  }
}

/** A command and all that are below it. */
const withinOf = (command: Command): Command[] => [command, ...command.commands.flatMap(withinOf)];

function ownVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
