import { open, readFile, rm } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Command, Option } from "commander";
import type { RotateExternalKeyRequestSchema } from "../gen/muster/v1/external_auth_service_pb.ts";
import { type ExternalKey, ExternalKeySchema } from "../gen/muster/v1/external_key_pb.ts";
import { duration } from "../setting-values.ts";
import { StartError } from "../start-error.ts";
import type { Host } from "./host.ts";
import { optionValue } from "./option-value.ts";
import { printRecord, printTable, recordOf } from "./print.ts";
import { connectAsProject } from "./project-client.ts";
import { type ServerOptions, withProjectServer } from "./server-options.ts";

type Key = MessageInitShape<typeof RotateExternalKeyRequestSchema>["key"];

interface RotateOptions extends ServerOptions {
  readonly algorithm?: string;
  readonly revokePrevious?: true;
  readonly previousTtl?: number;
}

interface SetOptions extends RotateOptions {
  readonly pem?: string;
  readonly jwk?: string;
  readonly jwksUri?: string;
}

const ALGORITHMS = "EdDSA ES256 ES384 ES512 RS256 RS384 RS512 PS256 PS384 PS512".split(" ");
const COLUMNS = ["id", "state", "algorithm", "key_id", "create_time", "end_time", "jwks_uri"];

/** `muster key external …`: the keys by which a project's own system proves its users. */
export function externalKeyCommand(host: Host): Command {
  const group = new Command("external").description(
    "Make, register and list the keys that external JWTs are verified by",
  );
  const generate = new Command("generate")
    .description("Have a key pair made; the private key is shown this once and kept nowhere")
    .option("--out <file>", "a new file for the private key, for this user alone; otherwise standard output");
  group.addCommand(
    withRotation(generate, "what it signs with; otherwise EdDSA").action(
      (options: RotateOptions & { readonly out?: string }) => runGenerate(host, options),
    ),
  );
  const set = new Command("set")
    .description("Register the public key that your system's JWTs are verified by from now on")
    .option("--pem <file>", "a public key or a certificate in PEM; - for standard input")
    .option("--jwk <file>", "a public key as a JWK in JSON; - for standard input")
    .option("--jwks-uri <url>", "where a JWK Set is");
  group.addCommand(
    withRotation(set, "the one that its JWTs have, for a key of RSA that does not say").action((options: SetOptions) =>
      runSet(host, options),
    ),
  );
  group.addCommand(
    withProjectServer(
      new Command("list").description("List the external keys that count now, the current one first"),
    ).action((options: ServerOptions) => runList(host, options)),
  );
  return group;
}

const withRotation = (command: Command, algorithm: string): Command =>
  withProjectServer(
    command
      .addOption(new Option("--algorithm <name>", algorithm).choices(ALGORITHMS))
      .option("--revoke-previous", "take nothing that the keys before have signed from now on, as after a leak")
      .option(
        "--previous-ttl <span>",
        "how long the key before stays good, such as 24h; otherwise 24h",
        optionValue(duration("1m", "2160h")),
      ),
  );

async function runGenerate(host: Host, { out, ...options }: RotateOptions & { readonly out?: string }): Promise<void> {
  using server = await connectAsProject(host, options.url);
  const { algorithm = "", ...rotation } = rotationOf(options);
  const make = () => server.auth.rotateExternalKey({ ...rotation, key: { case: "generate", value: { algorithm } } });
  // The file is there before the key is: one that cannot be written must not cost the only copy of it.
  const { key, privateKeyPem } = out ? await intoFile(out, make) : await make();
  if (out || options.json) {
    const secret = out ? { private_key_file: out } : { private_key_pem: privateKeyPem };
    return printRecord(host, options.json ?? false, { ...fieldsOf(key), ...secret });
  }
  host.stdout.write(privateKeyPem);
  host.stderr.write(`muster: external key ${key?.id}, ${key?.algorithm}, kid ${key?.keyId}: this is the only copy\n`);
}

async function intoFile<T extends { readonly privateKeyPem: string }>(
  path: string,
  make: () => Promise<T>,
): Promise<T> {
  await using file = await open(path, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new StartError(`Cannot write ${path}: ${error.code === "EEXIST" ? "it is there already" : error.code}`);
  });
  try {
    const made = await make();
    await file.writeFile(made.privateKeyPem);
    await file.sync();
    return made;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

async function runSet(host: Host, options: SetOptions): Promise<void> {
  const key = await keyOf(host, options);
  using server = await connectAsProject(host, options.url);
  const { key: registered } = await server.auth.rotateExternalKey({ ...rotationOf(options), key });
  printRecord(host, options.json ?? false, fieldsOf(registered));
}

async function runList(host: Host, options: ServerOptions): Promise<void> {
  using server = await connectAsProject(host, options.url);
  const { keys } = await server.auth.listExternalKeys({});
  printTable(host, options.json ?? false, keys.map(fieldsOf), COLUMNS);
}

async function keyOf(host: Host, { pem, jwk, jwksUri }: SetOptions): Promise<NonNullable<Key>> {
  const given = [pem, jwk, jwksUri].filter((value) => value !== undefined);
  if (given.length !== 1) throw new StartError("Which key? Name it with one of --pem, --jwk and --jwks-uri");
  if (jwksUri !== undefined) return { case: "jwksUri", value: jwksUri };
  if (jwk !== undefined) return { case: "jwk", value: await contentOf(host, jwk) };
  return { case: "publicKeyPem", value: await contentOf(host, pem ?? "") };
}

const contentOf = (host: Host, file: string): Promise<string> =>
  file === "-" ? text(host.stdin) : readFile(file, "utf8");

const rotationOf = ({ algorithm, revokePrevious, previousTtl }: RotateOptions) => ({
  ...(algorithm && { algorithm }),
  revokePrevious: revokePrevious ?? false,
  ...(previousTtl !== undefined && { previousTtl: durationFromMs(previousTtl) }),
});

const fieldsOf = (key: ExternalKey | undefined) => (key ? recordOf(ExternalKeySchema, key) : {});
