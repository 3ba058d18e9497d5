import { type DescEnum, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { anchor } from "./markdown.ts";

/** The type of a field, linked to where it is described. */
export function typeOf(of: DescField): string {
  switch (of.fieldKind) {
    case "scalar":
      return scalar(of.scalar);
    case "message":
      return link(of.message);
    case "enum":
      return link(of.enum);
    case "list":
      return `list of ${of.listKind === "scalar" ? scalar(of.scalar) : link(of.listKind === "enum" ? of.enum : of.message)}`;
    case "map":
      return `map of ${scalar(of.mapKey)} to ${of.mapKind === "scalar" ? scalar(of.scalar) : link(of.mapKind === "enum" ? of.enum : of.message)}`;
  }
}

const scalar = (type: ScalarType) => (ScalarType[type] ?? "").toLowerCase();

function link(of: DescMessage | DescEnum): string {
  const own = of.file.proto.package === "muster.v1";
  return own ? `[${of.name}](#${anchor(of.name)})` : `\`${of.typeName}\``;
}
