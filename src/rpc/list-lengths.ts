import { type DescField, type DescMessage, getOption, hasOption, type Message } from "@bufbuild/protobuf";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { Violation } from "../errors.ts";

/** Gives the lists of a message that are longer than their declared `max_items`. */
export type ListLengths = (schema: DescMessage, message: Message) => Violation[];

interface LongPlan {
  readonly lists: readonly { readonly field: DescField; readonly most: number }[];
  /** Fields of one message that hold such lists. */
  readonly nested: readonly DescField[];
}

/**
 * Looks at lengths alone. Whoever checks the items of a list too has to do it after this: a list far too long costs a
 * thousand times more to check than to refuse. Lists within the items of a list are for the check of the item.
 */
export function createListLengths(): ListLengths {
  const plans = new Map<DescMessage, LongPlan>();
  const planFor = (schema: DescMessage): LongPlan => {
    let plan = plans.get(schema);
    if (!plan) {
      plan = {
        lists: schema.fields.flatMap((field) => {
          const most = mostOf(field);
          return most === undefined ? [] : [{ field, most }];
        }),
        nested: schema.fields.filter(
          (field) => field.fieldKind === "message" && !field.message.typeName.startsWith("google.protobuf."),
        ),
      };
      plans.set(schema, plan);
    }
    return plan;
  };
  const look = (schema: DescMessage, message: object, path: string): Violation[] => {
    const { lists, nested } = planFor(schema);
    const long = lists.flatMap(({ field, most }) => {
      const list = (message as Record<string, unknown>)[field.localName];
      return Array.isArray(list) && list.length > most
        ? [{ field: path + field.name, description: `must contain no more than ${most} item(s)` }]
        : [];
    });
    for (const field of nested) {
      const inner = valueOf(message, field);
      if (field.message && inner) long.push(...look(field.message, inner, `${path}${field.name}.`));
    }
    return long;
  };
  return (schema, message) => look(schema, message, "");
}

function mostOf(field: DescField): number | undefined {
  if (field.fieldKind !== "list" || !hasOption(field, fieldRules)) return undefined;
  const { type } = getOption(field, fieldRules);
  const most = type.case === "repeated" ? Number(type.value.maxItems) : 0;
  return most > 0 ? most : undefined;
}

function valueOf(message: object, field: DescField): object | undefined {
  const holder = (message as Record<string, unknown>)[field.oneof?.localName ?? field.localName];
  if (!field.oneof) return holder as object | undefined;
  const { case: chosen, value } = (holder ?? {}) as { case?: string; value?: object };
  return chosen === field.localName ? value : undefined;
}
