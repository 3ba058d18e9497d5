import { text } from "node:stream/consumers";
import { Command } from "commander";
import {
  type ExplainExternalTokenResponse,
  ExplainExternalTokenResponseSchema,
} from "../gen/muster/v1/external_auth_service_pb.ts";
import { CommandEnd } from "./command-end.ts";
import type { Host } from "./host.ts";
import { printTable, printValue, recordOf } from "./print.ts";
import { connectAsProject } from "./project-client.ts";
import { type ServerOptions, withProjectServer } from "./server-options.ts";

/** Some check did not pass. */
const REFUSED = 3;
const STANDARD_INPUT = "-";

const HELP = `
Writes nothing, and does not use the JWT up. What stands on the command line, other users of the machine can see: standard input is safer.
Exit codes: 0 the JWT would sign its user in; 1 it failed; 2 misuse; 3 a check did not pass.`;

/** `muster token …`: JWTs of the project's own system. */
export function tokenCommand(host: Host): Command {
  const group = new Command("token").description("Say what becomes of a JWT of your own system");
  const explain = new Command("explain")
    .description("Make the checks of VerifyExternalUser, and say of each what it found")
    .argument("[jwt]", "the JWT; - for standard input", STANDARD_INPUT);
  group.addCommand(
    withProjectServer(explain)
      .addHelpText("after", HELP)
      .action((jwt: string, options: ServerOptions) => runExplain(host, jwt, options)),
  );
  return group;
}

async function runExplain(host: Host, jwt: string, options: ServerOptions): Promise<void> {
  using server = await connectAsProject(host, options.url);
  const userJwt = (jwt === STANDARD_INPUT ? await text(host.stdin) : jwt).trim();
  const answer = await server.auth.explainExternalToken({ userJwt });
  if (options.json) printValue(host, recordOf(ExplainExternalTokenResponseSchema, answer));
  else printAnswer(host, answer);
  if (answer.checks.some(({ passed }) => !passed)) throw new CommandEnd(REFUSED);
}

function printAnswer(host: Host, { checks, wouldCreate, wouldUpdate }: ExplainExternalTokenResponse): void {
  const rows = checks.map(({ name, passed, detail }) => ({
    check: name,
    verdict: passed ? "passed" : "FAILED",
    detail,
  }));
  printTable(host, false, rows, ["check", "verdict", "detail"]);
  const fields = wouldUpdate.join(", ");
  if (checks.some(({ passed }) => !passed)) printValue(host, "The JWT would be refused.");
  else if (wouldCreate) printValue(host, `The sign-in would make a user with ${fields}.`);
  else
    printValue(host, fields ? `The sign-in would change ${fields}.` : "The sign-in would change nothing of the user.");
}
