import { type DescField, type DescMessage, getOption, hasOption, type JsonValue, toJson } from "@bufbuild/protobuf";
import {
  FieldRulesSchema,
  field,
  message as messageRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** The bounds that a field declares, such as `min_len 3`, each as one short text. */
export function boundsOf(of: DescField): string[] {
  if (!hasOption(of, field)) return [];
  const rules = toJson(FieldRulesSchema, getOption(of, field), { useProtoFieldName: true });
  return leaves(rules).filter((text) => !text.startsWith("ignore "));
}

/** What the rules over a whole message say, for people. */
export function sentencesOf(of: DescMessage): string[] {
  return hasOption(of, messageRules) ? getOption(of, messageRules).cel.map((rule) => rule.message) : [];
}

/** The values at the ends of the tree: the type a rule is of says nothing new, the items of a list do. */
function leaves(value: JsonValue, name = ""): string[] {
  if (value === true) return [name];
  if (Array.isArray(value)) return [`${name} ${value.map((item) => `\`${JSON.stringify(item)}\``).join(", ")}`];
  if (typeof value !== "object" || value === null) return [`${name} ${inCode(value)}`];
  return Object.entries(value).flatMap(([key, inner]) => {
    const nested = leaves(inner, key);
    return ["items", "keys", "values"].includes(key) ? nested.map((text) => `${key}: ${text}`) : nested;
  });
}

const inCode = (value: JsonValue) => (/^-?[0-9.]+s?$/.test(String(value)) ? String(value) : `\`${String(value)}\``);
