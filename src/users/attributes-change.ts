import { invalid, MusterError } from "../errors.ts";
import type { AttributeWriter } from "./attribute-definition.entity.ts";
import {
  type AttributeDefinition,
  type AttributeDefinitions,
  type DefinitionsByKey,
  mayWrite,
} from "./attribute-definitions.ts";
import type { ProfileChange } from "./profile.ts";
import type { AttributeValue } from "./user.entity.ts";

/** A value as it was given; without text and data: none. */
export interface GivenAttribute {
  readonly contentType: string;
  readonly value: string | Uint8Array | undefined;
}

/** A change of a user's attributes as it was asked for. */
export interface AttributesChange {
  /** By key. Those left out stay; one without a value is removed. */
  readonly given: ReadonlyMap<string, GivenAttribute>;
  /** Whether those left out go as well, as far as the writer may set them. */
  readonly whole: boolean;
  readonly writer: AttributeWriter;
  /** Where in the request the attributes stand, for what is said of them. */
  readonly path: string;
}

/**
 * The change with its attributes held against their definitions, ready to be written; one without attributes as it is.
 * REQUEST_INVALID for one that is not defined, or a value its definition does not take; PRINCIPAL_NOT_ALLOWED for one that the
 * writer may not set.
 */
export async function settleAttributes(
  definitions: AttributeDefinitions,
  projectId: string,
  change: ProfileChange,
): Promise<ProfileChange> {
  const { attributes: asked, ...rest } = change;
  if (!asked) return change;
  const defined = await definitionsFor(definitions, projectId, asked);
  const set: [string, AttributeValue][] = [];
  const removed = new Set<string>();
  for (const [key, given] of asked.given) {
    const value = settledValue(defined.get(key), given, asked.writer, `${asked.path}["${key}"]`);
    if (value) set.push([key, value]);
    else removed.add(key);
  }
  if (asked.whole)
    for (const [key, definition] of defined)
      if (!asked.given.has(key) && mayWrite(definition, asked.writer)) removed.add(key);
  const values = { ...rest.values, attributes: Object.fromEntries(set) };
  return { ...rest, values, removedAttributes: [...removed].toSorted() };
}

/** The definitions; as of now, where one of those that are given seems not to be defined: it may be this moment. */
async function definitionsFor(
  definitions: AttributeDefinitions,
  projectId: string,
  { given }: AttributesChange,
): Promise<DefinitionsByKey> {
  const known = await definitions.of(projectId);
  return [...given.keys()].every((key) => known.has(key)) ? known : definitions.reload(projectId);
}

function settledValue(
  definition: AttributeDefinition | undefined,
  { contentType, value }: GivenAttribute,
  writer: AttributeWriter,
  field: string,
): AttributeValue | undefined {
  if (!definition) throw invalid(field, "is not defined");
  if (!mayWrite(definition, writer)) throw new MusterError("PRINCIPAL_NOT_ALLOWED", { metadata: { field } });
  if (value === undefined) return undefined;
  if (!definition.contentTypes.includes(contentType))
    throw invalid(field, `must be of ${definition.contentTypes.join(" or ")}`);
  if (isText(contentType) !== (typeof value === "string"))
    throw invalid(field, `takes ${isText(contentType) ? "text" : "data"} as ${contentType}`);
  if (value.length === 0 && !definition.canBeEmpty) throw invalid(field, "must not be empty");
  if (typeof value !== "string") return { content_type: contentType, data: Buffer.from(value).toString("base64") };
  if (contentType === JSON_TYPE && value !== "" && !isJson(value)) throw invalid(field, "is not well-formed JSON");
  return { content_type: contentType, text: value };
}

const JSON_TYPE = "application/json";
const isText = (contentType: string): boolean => contentType.startsWith("text/") || contentType === JSON_TYPE;

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
