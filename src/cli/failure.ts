import { Code, ConnectError } from "@connectrpc/connect";
import { MusterError } from "../errors.ts";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts";
import { StartError } from "../start-error.ts";

/** Why a command failed, for people and, with `--json`, for programs. */
export interface Failure {
  readonly message: string;
  /** A reason of the API, where the server refused. */
  readonly reason?: string;
}

/** What the system says about an address or a file, in words. */
const SYSTEM: Readonly<Record<string, string>> = {
  EADDRINUSE: "is in use by another process",
  EADDRNOTAVAIL: "is not an address of this machine",
  EACCES: "may not be used by this user",
  EPERM: "may not be used by this user",
  ENOENT: "does not exist",
  ECONNREFUSED: "takes no connections",
  ENOTFOUND: "is not known by name",
  ETIMEDOUT: "does not answer",
  EHOSTUNREACH: "cannot be reached",
};

/** Says what whoever ran the command can mend; of anything else, which is a fault of Muster's, it gives the stack. */
export function failureOf(error: unknown): Failure {
  if (error instanceof StartError) return { message: error.message };
  if (error instanceof ConnectError) return refusalOf(error);
  // A use case of the start that the database failed says so in its cause.
  if (error instanceof MusterError)
    return error.cause === undefined ? { message: error.message, reason: error.reason } : failureOf(error.cause);
  if (error instanceof AggregateError && error.errors.length > 0) return failureOf(error.errors[0]);
  const { code, address, port, path, severity } = error as Record<string, unknown>;
  const known = SYSTEM[String(code)];
  const where = path ?? (port === undefined ? address : `Port ${port} on ${address}`);
  if (known && where !== undefined) return { message: `${where} ${known}` };
  if (severity === "FATAL" || severity === "ERROR")
    return { message: `The database says: ${(error as Error).message}` };
  return { message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

function refusalOf(error: ConnectError): Failure {
  const [info] = error.findDetails(ErrorInfoSchema);
  if (info) return { message: error.rawMessage, reason: info.reason };
  if (error.code === Code.Unavailable || error.code === Code.Unknown)
    return { message: `The server cannot be reached: ${error.rawMessage}` };
  return { message: error.message };
}
