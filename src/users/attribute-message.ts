import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Access } from "../gen/muster/v1/access_pb.ts";
import {
  AttributeDefinitionSchema,
  type AttributeValueSchema,
  type AttributeDefinition as DefinitionMessage,
  type AttributeValue as ValueMessage,
} from "../gen/muster/v1/attribute_pb.ts";
import type { AttributeReader, AttributeWriter } from "./attribute-definition.entity.ts";
import type { AttributeDefinition } from "./attribute-definitions.ts";
import type { AttributesChange } from "./attributes-change.ts";
import type { NewAttributeDefinition } from "./define-attribute.ts";
import type { Attributes, AttributeValue } from "./user.entity.ts";

const READERS = ["SYSTEM", "USER", "SELF"] as const satisfies AttributeReader[];
const WRITERS = ["SYSTEM", "SELF"] as const satisfies AttributeWriter[];

/** A definition as it goes on the wire. */
export const definitionMessage = (definition: AttributeDefinition): DefinitionMessage =>
  create(AttributeDefinitionSchema, {
    key: definition.key,
    contentTypes: [...definition.contentTypes],
    canBeEmpty: definition.canBeEmpty,
    readers: definition.readers.map((reader) => Access[reader]),
    writers: definition.writers.map((writer) => Access[writer]),
    filterable: definition.filterable,
    createTime: timestampFromDate(definition.createTime),
    updateTime: timestampFromDate(definition.updateTime),
  });

/** The definition a request gives, its defaults filled in. */
export function definitionOf(message: DefinitionMessage | undefined): NewAttributeDefinition {
  const { key, contentTypes, canBeEmpty, readers, writers, filterable } = message ?? create(AttributeDefinitionSchema);
  const read = readers.length > 0 ? [Access.SYSTEM, ...readers] : [Access.SYSTEM, Access.USER];
  const write = [Access.SYSTEM, ...writers];
  return {
    key,
    contentTypes,
    canBeEmpty,
    filterable,
    readers: READERS.filter((reader) => read.includes(Access[reader])),
    writers: WRITERS.filter((writer) => write.includes(Access[writer])),
  };
}

/** A user's attributes as they go on the wire. */
export const attributesMessage = (attributes: Attributes) =>
  Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, valueMessage(value)]));

const valueMessage = ({ content_type, text, data }: AttributeValue): MessageInitShape<typeof AttributeValueSchema> => ({
  contentType: content_type,
  value:
    text !== undefined
      ? { case: "text", value: text }
      : { case: "data", value: new Uint8Array(Buffer.from(data ?? "", "base64")) },
});

/** The change of attributes that a request asks for. */
export const attributesChange = (
  attributes: Readonly<Record<string, ValueMessage>>,
  asked: Omit<AttributesChange, "given">,
): AttributesChange => ({
  ...asked,
  given: new Map(
    Object.entries(attributes).map(([key, { contentType, value }]) => [key, { contentType, value: value.value }]),
  ),
});
