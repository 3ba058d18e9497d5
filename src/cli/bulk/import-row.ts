import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { isFieldError } from "@bufbuild/protobuf/reflect";
import { type UpsertUserRequest, UpsertUserRequestSchema } from "../../gen/muster/v1/user_service_pb.ts";
import { createValueCheck } from "../../rpc/strict-decode-checks.ts";
import type { Line } from "./line-reader.ts";

/** A line that names a user. */
export interface Row {
  readonly line: number;
  readonly externalId: string;
  readonly request: UpsertUserRequest;
  /** Of the line. */
  readonly bytes: number;
}

/** A line that was refused, as it is told. */
export interface Refusal {
  readonly line: number;
  readonly external_id?: string;
  /** A reason of the API. */
  readonly reason: string;
  /** The field that is wrong, where one is. */
  readonly field?: string;
  readonly message: string;
}

/** The longest line, in bytes: the server takes no longer message. */
export const LONGEST_LINE = 1024 * 1024;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a line; undefined: it is blank. */
export type ReadRow = (line: Line) => Row | Refusal | undefined;

/**
 * A reader of lines that are UpsertUserRequest in JSON, whose every member has to be known. What no message may hold is refused here:
 * the server would refuse the whole batch for it.
 */
export function createReadRow(): ReadRow {
  const check = createValueCheck();
  return (line) => {
    const row = rowOf(line);
    const [broken] = row && "request" in row ? check(UpsertUserRequestSchema, row.request, row.bytes) : [];
    if (!row || !("request" in row) || !broken) return row;
    return refused(row.line, broken.description, { external_id: row.externalId, field: broken.field });
  };
}

function rowOf({ number: line, bytes }: Line): Row | Refusal | undefined {
  if (!bytes) return refused(line, `is longer than ${LONGEST_LINE} bytes`);
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    return refused(line, "is not UTF-8");
  }
  if (text.trim() === "") return undefined;
  let json: JsonValue;
  try {
    json = JSON.parse(text) as JsonValue;
  } catch (error) {
    return refused(line, `is not JSON: ${(error as Error).message}`);
  }
  return requestOf(line, json, bytes.length);
}

function requestOf(line: number, json: JsonValue, bytes: number): Row | Refusal {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    return refused(line, 'is not an object such as {"external_id": "1", "user": {"name": "Ada"}}');
  try {
    const request = fromJson(UpsertUserRequestSchema, json);
    const { externalId } = request;
    if (externalId) return { line, externalId, request, bytes };
    return refused(line, "is missing: without it a second import would make the user anew", { field: "external_id" });
  } catch (error) {
    return notDecoded(line, json, error);
  }
}

function notDecoded(line: number, json: { [key: string]: JsonValue }, error: unknown): Refusal {
  const { cause } = error as Error;
  const said = cause instanceof Error ? cause : (error as Error);
  const what = said.message.replace(/^cannot decode (?:message |field )?\S+ from JSON:? ?/, "");
  const externalId = json["external_id"] ?? json["externalId"];
  return refused(line, `is not what it should be in JSON: ${what}`, {
    ...(typeof externalId === "string" && { external_id: externalId }),
    ...(isFieldError(said) && { field: said.field().name }),
  });
}

const refused = (line: number, message: string, extra: Pick<Refusal, "external_id" | "field"> = {}): Refusal => ({
  line,
  ...extra,
  reason: "REQUEST_INVALID",
  message,
});
