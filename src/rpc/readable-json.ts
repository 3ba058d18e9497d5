import {
  type DescField,
  type DescMessage,
  getOption,
  hasOption,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { Access, field_access, subject_field } from "../gen/muster/v1/access_pb.ts";
import type { MayReadEntry } from "./field-access.ts";

/** The user that a message goes to. */
export interface JsonViewer {
  readonly userId: string;
  readonly mayReadEntry: MayReadEntry;
}

/**
 * What a user may see of a message in JSON with the names of the proto, by the `field_access` of its fields: the counterpart, for what
 * is kept or sent as JSON, of what `limitFieldAccess` does to answers. What the message does not declare is left out.
 */
export function readableJson(schema: DescMessage, message: JsonObject, viewer: JsonViewer): JsonObject {
  const subject = hasOption(schema, subject_field) ? getOption(schema, subject_field) : undefined;
  const aboutItself = subject !== undefined && message[subject] === viewer.userId;
  const members = Object.entries(message).flatMap(([name, value]): [string, JsonValue][] => {
    const field = schema.fields.find((it) => it.name === name);
    if (!field || !isReadable(field, aboutItself)) return [];
    return [[name, readableValue(field, value, viewer, aboutItself)]];
  });
  return Object.fromEntries(members);
}

function isReadable(field: DescField, aboutItself: boolean): boolean {
  if (!hasOption(field, field_access)) return true;
  const { read } = getOption(field, field_access);
  return read.includes(Access.USER) || (aboutItself && read.includes(Access.SELF));
}

function readableValue(field: DescField, value: JsonValue, viewer: JsonViewer, aboutItself: boolean): JsonValue {
  const schema = field.message;
  // The types of others, such as Struct and Timestamp, have a form of their own in JSON, and nothing in them is declared.
  if (!schema?.typeName.startsWith("muster.")) return value;
  const inner = (it: JsonValue) => (isObject(it) ? readableJson(schema, it, viewer) : it);
  if (Array.isArray(value)) return value.map(inner);
  if (field.fieldKind !== "map" || !isObject(value)) return inner(value);
  const byEntry = hasOption(field, field_access) && getOption(field, field_access).byEntry;
  const entries = Object.entries(value).filter(([key]) => !byEntry || viewer.mayReadEntry(key, aboutItself));
  return Object.fromEntries(entries.map(([key, entry]) => [key, inner(entry)]));
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
