import { type DescField, type DescMessage, type DescMethod, type Message, ScalarType } from "@bufbuild/protobuf";

/** What a message is made from, by the names of its fields in TypeScript. */
export type Init = Record<string, unknown>;
/** What a message of this type is made from where a request has none yet. */
export type Fresh = (type: string) => Init;

/** A place in a request that holds a string. */
export interface StringPlace {
  /** From the request on, such as `user.metadata{key}`. */
  readonly path: string;
  /** Whose field it is, whatever message that is in, such as `muster.v1.User.metadata{key}`. */
  readonly field: string;
  /** A request with a string there. */
  put(request: Init, value: string): Init;
}

/** Changes the message of a request that the places are looked for in. */
type Within = (request: Init, change: (message: Init) => Init) => Init;

const STRUCT = "google.protobuf.Struct";
const entry = (key: string, value: unknown): Init => Object.fromEntries([[key, value]]);
const isString = (field: DescField) => field.fieldKind !== "map" && field.scalar === ScalarType.STRING;

/** A Struct that has a text as its keys, or as its values, at every depth. */
const STRUCTS = {
  key: (text: string) => entry(text, { list: [entry(text, 1)], ...entry(text, 2) }),
  value: (text: string) => ({ text, list: [text, { deep: [text] }] }),
};

/** The message with another value of a field, made from the one there. */
function withField(message: Init, field: DescField, change: (old: unknown) => unknown): Init {
  if (!field.oneof) return { ...message, [field.localName]: change(message[field.localName]) };
  const chosen = message[field.oneof.localName] as { case?: string; value?: unknown } | undefined;
  const old = chosen?.case === field.localName ? chosen.value : undefined;
  return { ...message, [field.oneof.localName]: { case: field.localName, value: change(old) } };
}

/** All places of a method's request. A type within itself is looked into once. */
export const placesOf = (method: DescMethod, fresh: Fresh): StringPlace[] =>
  within(method.input, fresh, "", (request, change) => change(request), [method.input]);

function within(schema: DescMessage, fresh: Fresh, path: string, reach: Within, above: DescMessage[]): StringPlace[] {
  return schema.fields.flatMap((field) => {
    const name = `${path}${field.name}`;
    const place = (suffix: string, make: (text: string, old: unknown) => unknown): StringPlace => ({
      path: `${name}${suffix}`,
      field: `${schema.typeName}.${field.name}${suffix}`,
      put: (request, text) => reach(request, (message) => withField(message, field, (old) => make(text, old))),
    });
    if (field.message?.typeName === STRUCT) return [place("{key}", STRUCTS.key), place("{value}", STRUCTS.value)];
    const keys =
      field.fieldKind === "map" ? [place("{key}", (text, old) => entry(text, firstOf(field, old, fresh)))] : [];
    if (field.message && above.includes(field.message)) return keys;
    if (field.message) {
      const inner: Within = (request, change) =>
        reach(request, (message) =>
          withField(message, field, (old) => wrapped(field, old, change(firstOf(field, old, fresh)))),
        );
      const suffix = { list: "[]", map: "{}" }[field.fieldKind as string] ?? "";
      return [...keys, ...within(field.message, fresh, `${name}${suffix}.`, inner, [...above, field.message])];
    }
    if (isString(field)) return [place("", (text) => (field.fieldKind === "list" ? [text] : text))];
    return field.fieldKind === "map" && field.scalar === ScalarType.STRING
      ? [...keys, place("{value}", (text) => entry("key", text))]
      : keys;
  });
}

/** The first message of a field that holds one or more, or a fresh one. */
function firstOf(field: DescField, old: unknown, fresh: Fresh): Init {
  const made = field.message ? fresh(field.message.typeName) : {};
  if (field.fieldKind === "list") return ((old as Init[] | undefined)?.[0] ?? made) as Init;
  if (field.fieldKind === "map") return (Object.values((old as Init | undefined) ?? {})[0] ?? made) as Init;
  return (old as Init | undefined) ?? made;
}

function wrapped(field: DescField, old: unknown, message: Init): unknown {
  if (field.fieldKind === "list") return [message];
  if (field.fieldKind === "map") return entry(Object.keys((old as Init | undefined) ?? {})[0] ?? "note", message);
  return message;
}

/** Every string of a message, by whose field it is. */
export function stringsIn(schema: DescMessage, message: Message, found = new Map<string, string[]>()) {
  const add = (field: string, ...values: string[]) => found.set(field, [...(found.get(field) ?? []), ...values]);
  for (const field of schema.fields) {
    const name = `${schema.typeName}.${field.name}`;
    const value = valueOf(message, field);
    if (value === undefined) continue;
    if (field.message?.typeName === STRUCT) structStrings(value, name, add);
    else if (field.fieldKind === "map") add(`${name}{key}`, ...Object.keys(value as object));
    if (isString(field)) add(name, ...[value as string | string[]].flat());
    const nested = field.fieldKind === "map" ? Object.values(value as object) : [value].flat();
    if (field.message && field.message.typeName !== STRUCT)
      for (const inner of nested) stringsIn(field.message, inner as Message, found);
  }
  return found;
}

function valueOf(message: Message, field: DescField): unknown {
  if (!field.oneof) return (message as unknown as Init)[field.localName];
  const chosen = (message as unknown as Init)[field.oneof.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

/** Every key and every text of a JSON value. */
export function structStrings(json: unknown, name: string, add: (field: string, ...values: string[]) => void): void {
  if (typeof json === "string") add(`${name}{value}`, json);
  if (typeof json !== "object" || json === null) return;
  if (!Array.isArray(json)) add(`${name}{key}`, ...Object.keys(json));
  for (const inner of Object.values(json)) structStrings(inner, name, add);
}
