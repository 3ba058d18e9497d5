import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** What kinds of callers read a user's value, and write it. */
export type AttributeReader = "SYSTEM" | "USER" | "SELF";
export type AttributeWriter = "SYSTEM" | "SELF";

/** What a project says of an attribute of its users. */
export const AttributeDefinitionEntity = defineEntity({
  name: "AttributeDefinition",
  tableName: "attribute_definitions",
  properties: {
    projectId: p.uuid().primary(),
    key: p.text().collation("C").primary(),
    contentTypes: p.array(),
    canBeEmpty: p.boolean(),
    readers: p.array<AttributeReader>(),
    writers: p.array<AttributeWriter>(),
    filterable: p.boolean(),
    createTime: p.datetime(),
    updateTime: p.datetime(),
    /** Since when its values are being deleted; the definition goes with the last of them. */
    deleteTime: p.datetime().nullable(),
  },
});
export type AttributeDefinitionEntity = InferEntity<typeof AttributeDefinitionEntity>;
