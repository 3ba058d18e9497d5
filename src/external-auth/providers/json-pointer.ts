import { isJsonObject, type JsonValue } from "../../tokens/strict-json.ts";

/** What a JSON Pointer (RFC 6901) points at; undefined: nothing, or null. The empty pointer stands for nothing here. */
export function valueAt(document: JsonValue, pointer: string): JsonValue | undefined {
  if (pointer === "") return undefined;
  let value: JsonValue | undefined = document;
  for (const step of pointer.split("/").slice(1))
    value = member(value, step.replaceAll("~1", "/").replaceAll("~0", "~"));
  return value ?? undefined;
}

function member(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (Array.isArray(value))
    return /^(0|[1-9]\d*)$/.test(name) ? (value[Number(name)] as JsonValue | undefined) : undefined;
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
